"""Caller: who calls from within this process, what they may call, and who answers it."""

from collections.abc import Mapping
from copy import copy
from typing import Any, Self

from alknet.call.access import refusal
from alknet.call.client import ANY, HERE, Client
from alknet.call.context import Context
from alknet.call.home import Home
from alknet.call.invocation import Entry
from alknet.call.payload import plain
from alknet.call.resource import resource_of
from alknet.errors import Forbidden, Unauthenticated
from alknet.identity import Identity
from alknet.protocol.request import AnyRequest, Kind


class Caller(Client):
    """The part of a client that says who calls: *identity*, in the node that *home* is.

    With *parent* it is the handler of that call: it acts for that handler's caller, may call only
    what the handler declared with `uses=`, and needs no scope for that. What this node does not
    answer itself is then asked of a peer that has registered it; the peer makes its own check.
    """

    def __init__(
        self,
        home: Home,
        identity: Identity | None,
        *,
        parent: Context | None = None,
        uses: frozenset[str] | None = None,
    ) -> None:
        self._home = home
        self._identity = identity
        self._parent = parent
        self._uses = uses
        self._metadata: dict[str, Any] | None = None

    def with_metadata(self, metadata: Mapping[str, Any]) -> Self:
        """Return a caller that sends *metadata* along with its calls."""
        other = copy(self)
        other._metadata = plain(metadata)
        return other

    def read(self, entry: Entry, input: Any, *kinds: Kind) -> Any:
        """Return the typed request in *input*; who may not ask is not told what would fit."""
        on_resource = entry.spec.access.resource_type is not None
        if not on_resource:
            self.check(entry, None)
        entry.spec.expect(*kinds)
        request = entry.input.convert({} if input is None else input)
        if on_resource:
            self.check(entry, request)
        return request

    def check(self, entry: Entry, request: Any) -> None:
        spec = entry.spec
        if self._uses is not None:
            self._declared(spec.name)
            return
        error = refusal(
            spec,
            self._identity,
            from_outside=False,
            resource=resource_of(spec.resource_id, request),
            ownership=self._home.ownership,
        )
        if error is not None:
            raise error

    def _declared(self, name: str) -> None:
        """Refuse what the handler has not declared; a composed call is checked by that alone."""
        if self._uses is not None and name not in self._uses:
            parent = self._parent.spec.name if self._parent else "this handler"
            raise Forbidden(f"{parent} has not declared that it uses {name}: add it to uses=")

    def away(self, request: AnyRequest, node: str = HERE) -> Client | None:
        """Return the client for a *request* that somebody else answers; None if it is for here."""
        name = named(request)
        if not self._home.is_here(node):
            return self.peer(node, name)
        return self._elsewhere(name)

    def way(self, path: str) -> tuple[str, Client | None]:
        """Return the operation's name, and the client for it if somebody else answers."""
        node, name = self._home.split(path)
        return name, self._elsewhere(name) if node is None else self.peer(node, name)

    def _elsewhere(self, name: str) -> Client | None:
        """Return the client for what a handler composes and this node does not answer itself.

        A handler says what it needs, not where that runs; of several peers that answer the
        operation, the one with the fewest calls in flight is asked.
        """
        home = self._home
        if self._parent is None or home.registry.get(name) is not None:
            return None
        return self.peer(ANY, name) if home.peers.answer(name) else None

    def peer(self, node: str, name: str) -> Client:
        """Return a client for the operation *name* of a peer; the peer makes its own check."""
        self._declared(name)
        identity, peers = self._identity, self._home.peers
        if identity is None:
            # Asked in nobody's name, it would count as a wish of this node's own.
            raise Unauthenticated(f"{node}/{name} wants to know who calls: authenticate first")
        asked_for = None if identity is self._home.itself else identity
        client = peers.client(node, name, on_behalf_of=asked_for, parent=self._parent)
        return client if self._metadata is None else client.with_metadata(self._metadata)


def named(request: AnyRequest) -> str:
    """Return the name of the operation that *request* asks for."""
    return request.__operation__.name
