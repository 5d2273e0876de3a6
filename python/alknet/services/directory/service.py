"""DirectoryService: which operations there are for a caller, and who is connected."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from alknet.call.access import refusal, unknown
from alknet.call.context import Context
from alknet.call.home import Home
from alknet.call.invocation import Entry
from alknet.call.operation import OperationSpec
from alknet.errors import InvalidInput
from alknet.protocol.directory import (
    HeadSummary,
    ListOperations,
    ListPeers,
    OperationList,
    OperationSchema,
    OperationSummary,
    PeerList,
    PeerSummary,
    Ping,
    Pong,
    Register,
    Registered,
    Schema,
)
from alknet.protocol.request import Kind
from alknet.protocol.stats import Metrics, NodeStats, ServiceStats, Stats
from alknet.runtime.host import Host
from alknet.runtime.linked import LinkedNode
from alknet.runtime.service import Service, handler
from alknet.services.directory.stats import link_stats, operation_stats

if TYPE_CHECKING:
    from alknet.services.directory.exposition import Exposition


class DirectoryService(Service, namespace="services"):
    """Discovery. It shows a caller exactly what the caller could call, by the same check."""

    def __init__(
        self,
        home: Home,
        services: Callable[[], tuple[ServiceStats, ...]] = tuple,
        heads: Callable[[], Sequence[LinkedNode]] = tuple,
    ) -> None:
        self._home = home
        self._services = services
        self._heads = heads
        self._exposition: Exposition | None = None

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.home, host.services, host.heads)

    @handler(concurrent=True)
    def list(self, _: ListOperations, context: Context) -> OperationList:
        return OperationList(
            tuple(
                summary(entry.spec)
                for entry in self._home.registry
                if self._is_for(entry.spec, context)
            )
        )

    def _is_for(self, spec: OperationSpec, context: Context) -> bool:
        """Whether the caller could call the operation, on some resource if it is about one."""
        session = context.session
        return (
            refusal(
                spec,
                context.identity,
                from_outside=session is not None,
                is_private=session is None or session.link.is_confidential,
                some_resource=True,
                ownership=self._home.ownership,
            )
            is None
        )

    def _spelt_otherwise(self, path: str) -> Entry | None:
        """Return the operation at *path*, as a call of it may be written too."""
        try:
            node, name = self._home.split(path)
        except InvalidInput:
            return None
        return self._home.registry.get(name) if node is None else None

    @handler(concurrent=True)
    def schema(self, request: Schema, context: Context) -> OperationSchema:
        entry = self._home.registry.get(request.name) or self._spelt_otherwise(request.name)
        if entry is None or not self._is_for(entry.spec, context):
            raise unknown(request.name)
        spec = entry.spec
        return OperationSchema(
            name=spec.name,
            namespace=spec.namespace,
            version=spec.version,
            kind=spec.kind,
            description=spec.description,
            input_schema=spec.input_schema,
            output_schema=spec.output_schema,
            errors=spec.errors,
            access=spec.access,
            idempotent=spec.idempotent,
            confidential=spec.confidential,
            item_schema=spec.item_schema,
            visibility=spec.visibility,
            resource_id=spec.resource_id,
        )

    @handler(concurrent=True)
    def peers(self, _: ListPeers, context: Context) -> PeerList:
        return PeerList(
            tuple(self._peer(name, context) for name, _ in self._home.peers.names()),
            tuple(HeadSummary(each.urls, each.name, each.why_away) for each in self._heads()),
        )

    def _peer(self, name: str, context: Context) -> PeerSummary:
        session, peers = context.session, self._home.peers
        is_private = session is None or session.link.is_confidential
        operations = tuple(peers.callable_by(context.identity, name, is_private=is_private))
        heard = self._home.peers.heard(name)
        if heard is None:
            return PeerSummary(name, operations)
        return PeerSummary(name, operations, heard.heartbeat, heard.at)

    @handler(concurrent=True)
    def ping(self, _: Ping) -> Pong:
        return Pong(node=self._home.name, time=time.time())

    @handler(concurrent=True)
    def register(self, request: Register, context: Context) -> Registered:
        session = context.session
        if session is None:
            raise InvalidInput(
                "only a peer can register operations, over the link by which it is to be called; "
                "a service of this process is given to open_node(services=...)"
            )
        name = session.peer
        if not self._home.can_be_called(name):
            raise InvalidInput(
                f"a peer called {name!r} cannot be called, for in a path that means something "
                f"else: give it another name under [[auth.peers]]"
            )
        offered: dict[str, Kind] = {each.name: each.kind for each in request.operations}
        confidential = {each.name for each in request.operations if each.confidential}
        rules = {each.name: each.access for each in request.operations if not each.access.is_open}
        node = self._home.peers.offer(session, offered, confidential=confidential, rules=rules)
        return Registered(node=node, operations=len(offered))

    @handler(concurrent=True)
    def stats(self, _: Stats) -> NodeStats:
        return NodeStats(
            node=self._home.name,
            operations=tuple(map(operation_stats, self._home.registry)),
            services=self._services(),
            links=tuple(map(link_stats, self._home.peers.sessions())),
        )

    @handler(concurrent=True)
    def metrics(self, _: Metrics) -> str:
        if self._exposition is None:
            # To import the library takes longer than to start a node, which few scrape.
            from alknet.services.directory.exposition import Exposition

            self._exposition = Exposition(self._home, self._services)
        return self._exposition.text()


def summary(spec: OperationSpec) -> OperationSummary:
    """Return the line that a list shows of *spec*: the first of its description."""
    first = spec.description.partition("\n\n")[0].replace("\n", " ")
    return OperationSummary(spec.name, spec.namespace, spec.kind, first, spec.confidential)
