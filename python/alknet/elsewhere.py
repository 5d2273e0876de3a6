"""Elsewhere: a service of this node that another node runs, as `remote` in its table says.

Its operations are registered here as those of a service that runs here are: listed, checked against
the caller, measured, traced and composed alike. Each call goes over one link, which is dialled over
TLS and kept, on behalf of the caller; the other node makes its own check. While there is no link,
calls fail at once.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import trio

from alknet.call.backoff import LONGEST_PAUSE, backoff
from alknet.call.context import Context
from alknet.call.continuations import Continuations
from alknet.call.declared import NOTHING
from alknet.call.home import NONE
from alknet.call.operation import operation_type
from alknet.call.registry import Registry
from alknet.call.remote import DEFAULT_TIMEOUT, RemoteClient
from alknet.call.session import Session
from alknet.dialer import Dialer
from alknet.errors import (
    AlknetError,
    Disconnected,
    Forbidden,
    Locked,
    Refused,
    Unauthenticated,
    Unavailable,
    UnknownCode,
)
from alknet.identity import Identity
from alknet.keys import Ed25519Key
from alknet.protocol.request import Kind, Request, Subscription, Upload
from alknet.runtime.background import open_background
from alknet.runtime.key_file import read_private_key
from alknet.runtime.service import Handler, Service
from alknet.settings import RemoteSettings
from alknet.transport import road
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits

log = structlog.get_logger("alknet.elsewhere")

# A node that comes back is to be found within two seconds, and the handshake takes some of them.
_LONGEST_AWAY: Final = 1.0
# How long a node that starts waits for the first link, so that those who call at once find it.
_FIRST_LINK_SECONDS: Final = 1.0
_LINK_LOST: Final = "the link was lost"
_FORWARD: Final = "identity:forward"


class Elsewhere(Service):
    """Stands in this node for *service*, which the node at `remote` of *table* runs.

    *folder* is where a relative path in *table* begins. *identity* returns the key of this node,
    None while its vault is locked, which proves who we are unless *table* names another. Who calls
    as *itself* calls in the name that this node has over there.

    Raises:
        SettingsError: the key file cannot be used.
    """

    def __init__(
        self,
        service: type[Service],
        table: RemoteSettings,
        *,
        folder: Path,
        identity: Callable[[], Ed25519Key | None],
        itself: Identity,
        limits: Limits,
    ) -> None:
        self.namespace = service.namespace
        # What is internal here is internal there: nobody who comes over a link may call it.
        self.handlers = tuple(
            _standing_for(each)
            for each in service.handlers
            if operation_type(each.request_type).spec.visibility == "external"
        )
        self._url = table.remote
        self._expect = table.expect
        self._key = None if table.key is None else read_private_key(folder / table.key)
        self._identity = identity
        self._itself = itself
        self._limits = limits
        self._session: Session | None = None
        self._node = "the node"
        self._forwards = False
        self._away = "it has not been dialled yet"
        self._tried = trio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with open_background() as nursery:
            nursery.start_soon(self._keep, nursery)
            with trio.move_on_after(_FIRST_LINK_SECONDS):
                await self._tried.wait()
            yield

    async def _keep(self, nursery: trio.Nursery) -> None:
        """Hold a link, and open another whenever it is lost, until cancelled."""
        failures, of_kind = 0, None
        while True:
            opened = trio.current_time()
            try:
                session = await self._open(nursery)
            except (AlknetError, OSError) as error:
                failures = failures + 1 if type(error) is of_kind else 1
                of_kind = type(error)
                self._lost(str(error))
            else:
                self._session, self._away = session, ""
                self._tried.set()
                log.info("service is back", service=self.namespace, node=self._who)
                await session.closed()
                self._lost(_LINK_LOST)
                # A node that takes links and drops them is no better than one that takes none.
                is_steady = trio.current_time() - opened > LONGEST_PAUSE
                failures = 1 if is_steady or of_kind is not None else failures + 1
                of_kind = None
            # Who answers and refuses us is there, and counts how often we try.
            longest = LONGEST_PAUSE if of_kind is Refused else _LONGEST_AWAY
            await trio.sleep(backoff(failures, longest=longest))

    def _lost(self, why: str) -> None:
        self._session = None
        if why != self._away:
            log.warning("service is away", service=self.namespace, node=self._who, why=why)
        self._away = why
        self._tried.set()

    async def _open(self, nursery: trio.Nursery) -> Session:
        key = self._key or self._identity()
        if key is None:
            raise Locked(
                "this node cannot prove who it is there: unlock its vault, or name a `key` file"
            )
        dialer = Dialer(
            (self._url,),
            key,
            dial=partial(road.dial, trust=Trust.of(key, self._expect)),
            expect=self._expect,
            # Nothing is offered, and nobody over there may ask us anything.
            registry=Registry(),
            grant=(),
            capabilities=NONE,
            continuations=Continuations(),
            format="json",
            limits=self._limits,
        )
        session = await dialer.open(nursery)
        self._node = repr(session.peer)
        self._forwards = Identity("", dialer.granted).has(_FORWARD)
        return session

    @property
    def _who(self) -> str:
        return f"{self._node} at {self._url}"

    def _client(self, context: Context) -> RemoteClient:
        """Return a client that asks for the caller of *context*."""
        caller, session = context.identity, self._session
        if caller is None:
            # Asked in nobody's name, it would count as a wish of this node's own.
            raise Unauthenticated(
                f"{context.spec.name} wants to know who calls: authenticate first"
            )
        if session is None or session.is_closed:
            raise Unavailable(
                f"{context.spec.name} is answered by {self._who}, which is away: "
                f"{self._away or _LINK_LOST}"
            )
        is_own = caller is self._itself
        if not (is_own or self._forwards):
            # It would take the call as ours, with all that we may do there.
            raise Forbidden(
                f"{context.spec.name} is answered by {self._who}, where this node may not speak "
                f"for others: give it the scope {_FORWARD!r} there"
            )
        left = context.deadline - trio.current_time()
        client = RemoteClient(
            session,
            timeout=DEFAULT_TIMEOUT if left == math.inf else left,
            on_behalf_of=None if is_own else caller,
            parent=context,
        )
        return client if context.metadata is None else client.with_metadata(context.metadata)

    @contextmanager
    def _told(self, context: Context) -> Iterator[None]:
        """Have an error of the other node be one that our caller can make something of."""
        try:
            yield
        except Disconnected as error:
            raise Disconnected(
                f"{self._who} has gone while it answered {context.spec.name}: {error.message}",
                retryable=error.retryable,
            ) from None
        except UnknownCode as error:
            # Whether the code means anything is for the caller to know.
            raise error.sent from None

    async def ask(self, request: Request[Any], context: Context) -> Any:
        """Have a query or a mutation answered over there."""
        with self._told(context):
            return await self._client(context).call(request)

    async def follow(self, request: Subscription[Any], context: Context) -> AsyncIterator[Any]:
        """Yield what a subscription over there does; its reader's pace is kept."""
        with self._told(context):
            async with self._client(context).stream(request) as items:
                async for item in items:
                    yield item

    async def pour(
        self, request: Upload[Any, Any], items: AsyncIterator[Any], context: Context
    ) -> Any:
        """Pass an upload on."""
        with self._told(context):
            return await self._client(context).upload(request, items)


# No service that a table turns on has a duplex.
_BY_KIND: Final[Mapping[Kind, Callable[..., Any]]] = {
    "query": Elsewhere.ask,
    "mutation": Elsewhere.ask,
    "subscription": Elsewhere.follow,
    "upload": Elsewhere.pour,
}


def _standing_for(handler: Handler) -> Handler:
    """Return what answers here in place of *handler*, which runs elsewhere."""
    return msgspec.structs.replace(
        handler,
        function=_BY_KIND[operation_type(handler.request_type).spec.kind],
        concurrent=True,
        # What it composes and needs it has over there.
        declared=NOTHING,
        is_async=not handler.is_stream,
        wants_context=True,
    )
