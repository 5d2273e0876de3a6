"""The peers that are connected now, by name, and what they answer."""

from collections.abc import Iterator, Mapping, Set
from itertools import count
from types import MappingProxyType
from typing import Final, NamedTuple

import trio

from alknet.call.access import confined, unknown
from alknet.call.client import ANY, HERE, Client
from alknet.call.context import Context
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.errors import NotFound
from alknet.identity import AccessRule, Identity
from alknet.protocol.request import Kind
from alknet.protocol.worker import Heartbeat

_OPEN: Final = AccessRule()
NO_RULES: Final[Mapping[str, AccessRule]] = MappingProxyType({})


class Heard(NamedTuple):
    """What a worker has said of itself, and when it was heard, in Unix seconds of ours."""

    heartbeat: Heartbeat
    at: float


class Peers:
    """Sessions by the id of the peer at their far end.

    A peer can be called once it has registered operations. If it is connected twice, the link that
    registered last answers; when that goes, the one before it does.
    """

    def __init__(self) -> None:
        self._connected: dict[str, list[Session]] = {}
        self._offered: dict[Session, Mapping[str, Kind]] = {}
        self._confidential: dict[Session, Set[str]] = {}
        self._rules: dict[Session, Mapping[str, AccessRule]] = {}
        self._turns = count(1)
        self._last_turn: dict[Session, int] = {}
        self._heard: dict[Session, Heard] = {}
        self._changed = trio.Event()

    def add(self, session: Session) -> None:
        """Note that the peer of *session* is connected."""
        self._connected.setdefault(session.peer, []).append(session)

    def remove(self, session: Session) -> None:
        """Forget *session* and what came over it."""
        offered = self._offered.pop(session, None)
        self._confidential.pop(session, None)
        self._rules.pop(session, None)
        self._last_turn.pop(session, None)
        self._heard.pop(session, None)
        sessions = self._connected.get(session.peer, [])
        if session in sessions:
            sessions.remove(session)
        if not sessions:
            self._connected.pop(session.peer, None)
        if offered is not None:
            self._change()

    def offer(
        self,
        session: Session,
        operations: Mapping[str, Kind],
        *,
        confidential: Set[str] = frozenset(),
        rules: Mapping[str, AccessRule] = NO_RULES,
    ) -> str:
        """Note which *operations* the peer of *session* answers; return its name in paths.

        Those in *confidential* may not come by a link that others can listen to. *rules* are what
        the peer asks of their callers, of those of which it asks something.
        """
        sessions = self._connected.setdefault(session.peer, [])
        if session in sessions:
            sessions.remove(session)
        sessions.append(session)
        self._offered[session] = operations
        self._confidential[session] = confidential
        self._rules[session] = rules
        self._change()
        return session.peer

    def _change(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    @property
    def changed(self) -> trio.Event:
        """An event that is set when next a peer registers operations, or goes with them."""
        return self._changed

    def is_connected(self, node: str) -> bool:
        """Tell whether a peer of that name is connected."""
        return node in self._connected

    def answering(self, name: str) -> list[Session]:
        """Return every link whose peer answers the operation called *name*."""
        return [session for session, offered in self._offered.items() if name in offered]

    def workers(self) -> set[Session]:
        """Return every link whose peer has registered operations."""
        return set(self._offered)

    def hear(self, session: Session, heartbeat: Heartbeat, at: float) -> None:
        """Note what the worker of *session* has said of itself at *at*, Unix seconds."""
        if session in self._offered:
            self._heard[session] = Heard(heartbeat, at)

    def heard(self, node: str) -> Heard | None:
        """Return what the peer called *node* has said last of itself, None if it says nothing."""
        session = self._answering(node) if node in self._connected else None
        return None if session is None else self._heard.get(session)

    def route(self, node: str, name: str) -> Session:
        """Return the session over which *node* answers the operation *name*.

        Of `any` nodes it is the one with the fewest calls in flight, and of several such the one
        that was chosen longest ago.

        Raises:
            NotFound: it is not connected, or has not registered that.
        """
        if node == ANY:
            return self._least_busy(name)
        session = self._of(node)
        self.kind(session, name)
        return session

    def _least_busy(self, name: str) -> Session:
        able = self._able(name)
        if not able:
            raise NotFound(f"no peer that is connected answers {name!r}")
        session = min(able, key=self._turn)
        self._last_turn[session] = next(self._turns)
        return session

    def _able(self, name: str) -> list[Session]:
        answering = filter(None, map(self._answering, sorted(self._connected)))
        return [session for session in answering if name in self._offered[session]]

    def _turn(self, session: Session) -> tuple[int, int]:
        return len(session.pending), self._last_turn.get(session, 0)

    def _of(self, node: str) -> Session:
        if node not in self._connected:
            raise NotFound(f"no peer called {node!r} is connected")
        session = self._answering(node)
        if session is None:
            raise NotFound(f"the peer {node!r} is connected, but has registered no operations")
        return session

    def kind(self, session: Session, name: str) -> Kind:
        """Return the kind of the operation called *name* that the peer of *session* answers.

        Raises:
            NotFound: it has registered no such operation.
        """
        kind = self._offered.get(session, {}).get(name)
        if kind is None:
            raise unknown(f"{session.peer}/{name}")
        return kind

    def answer(self, name: str) -> bool:
        """Tell whether any peer that is connected answers the operation called *name*."""
        return bool(self._able(name))

    def is_confidential(self, session: Session, name: str) -> bool:
        """Tell whether the peer of *session* calls its operation *name* confidential."""
        return name in self._confidential.get(session, ())

    def client(
        self,
        node: str,
        name: str,
        *,
        on_behalf_of: Identity | None = None,
        parent: Context | None = None,
    ) -> Client:
        """Return a client for the operation *name* of *node*, which may be told for whom it asks.

        With *parent* it asks for the handler of that call.

        Raises:
            NotFound: *node* is not connected, or has not registered that.
        """
        node, _, beyond = node.partition("/")
        session = self.route(node, f"{beyond}/{name}" if beyond else name)
        return RemoteClient(session, on_behalf_of=on_behalf_of, parent=parent, node=beyond or HERE)

    def offers(self) -> Iterator[tuple[str, str, Kind, bool, AccessRule]]:
        """Yield each connected peer with each operation that it has registered.

        As its name, the operation's name and kind, whether it is confidential, and what the peer
        asks of its callers.
        """
        for node in sorted(self._connected):
            session = self._answering(node)
            if session is not None:
                for name, kind in self._offered[session].items():
                    rule = self._rules[session].get(name, _OPEN)
                    yield node, name, kind, name in self._confidential[session], rule

    def sessions(self) -> list[Session]:
        """Return every link, in order of its peer's name and then in the order they came."""
        return [session for _, of_peer in sorted(self._connected.items()) for session in of_peer]

    def callable_by(self, identity: Identity | None, node: str, *, is_private: bool) -> list[str]:
        """Return what *node* answers that *identity* may call, by a link that *is_private*.

        The peer has the last word, and the only one about a rule that is about a resource.
        """
        session = self._answering(node)
        if session is None:
            return []
        is_private = is_private and session.link.is_confidential
        rules = self._rules[session]
        return [
            name
            for name in self._offered[session]
            if (is_private or not self.is_confidential(session, name))
            and confined(name, identity) is None
            and (identity is not None and rules.get(name, _OPEN).is_met_by(identity))
        ]

    def names(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return each connected peer and the operations it has registered, in order of name."""
        named = ((name, self._answering(name)) for name in sorted(self._connected))
        return [(name, tuple(self._offered[by]) if by else ()) for name, by in named]

    def _answering(self, node: str) -> Session | None:
        """Return the link of *node* that registered last, None if none has."""
        sessions = reversed(self._connected[node])
        return next((session for session in sessions if session in self._offered), None)
