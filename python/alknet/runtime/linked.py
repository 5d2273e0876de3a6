"""LinkedNode: another node that this one works with, over a link that is kept."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog
import trio

from alknet.call.redial import LINK_LOST, redial
from alknet.call.session import Session
from alknet.errors import Refused, RefusedForNow, Unavailable

log = structlog.get_logger("alknet.link")


class Opened(NamedTuple):
    """A link, and the scopes that we have at its far end."""

    session: Session
    scopes: frozenset[str]


Dial = Callable[[trio.Nursery], Awaitable[Opened]]


class LinkedNode:
    """The node at *urls*, each a way to it; what it is *wanted* for is said in the log.

    `keep` holds the link, which *dial* opens, in a nursery that outlasts it. `scopes` are those
    that we have there, as far as the last link told; `is_refused` says that we were not let in when
    last we tried.
    """

    def __init__(self, wanted: str, urls: Sequence[str], dial: Dial) -> None:
        self.urls = tuple(urls)
        self.scopes: frozenset[str] = frozenset()
        self._wanted = wanted
        self._dial = dial
        self._session: Session | None = None
        self._name: str | None = None
        self._why = "it has not been dialled yet"
        self.is_refused = False
        self._tried = trio.Event()
        self._changed = trio.Event()
        self._is_leaving = False

    @property
    def session(self) -> Session | None:
        """The link, None while there is none."""
        session = self._session
        return None if session is None or session.is_closed else session

    @property
    def name(self) -> str | None:
        """What the node calls itself, None if it was never reached."""
        return self._name

    @property
    def why_away(self) -> str | None:
        """Why there is no link; None if there is one."""
        return None if self.session is not None else self._why or LINK_LOST

    @property
    def changed(self) -> trio.Event:
        """An event that is set when next the link is opened, or lost, or cannot be had."""
        return self._changed

    def __str__(self) -> str:
        name = "the node" if self._name is None else repr(self._name)
        return f"{name} at {' or '.join(self.urls)}"

    async def tried(self) -> None:
        """Return when there is a link, or the first attempt to open one has failed."""
        await self._tried.wait()

    def asked(self, what: str) -> Session:
        """Return the link, to ask for *what* over it.

        Raises:
            Unavailable: there is none; the message says why.
        """
        session = self.session
        if session is None:
            raise Unavailable(f"{what} is answered by {self}, which is away: {self.why_away}")
        return session

    def leave(self) -> None:
        """Open no other link when this one ends."""
        self._is_leaving = True

    async def keep(self) -> None:
        """Hold a link, and open another whenever it is lost, until cancelled."""
        async with trio.open_nursery() as nursery:

            async def dial() -> Session:
                if self._is_leaving:
                    await trio.sleep_forever()
                self.is_refused = False
                try:
                    session, self.scopes = await self._dial(nursery)
                except Refused as error:
                    self.is_refused = not isinstance(error, RefusedForNow)
                    raise
                return session

            await redial(dial, opened=self._opened, away=self._away)

    def _opened(self, session: Session) -> None:
        self._session, self._name, self._why = session, session.peer, ""
        log.info("node is linked", node=str(self), wanted=self._wanted)
        self._change()

    def _away(self, why: str) -> None:
        self._session = None
        if why != self._why:
            log.warning("node is away", node=str(self), wanted=self._wanted, why=why)
        self._why = why
        self._change()

    def _change(self) -> None:
        self._tried.set()
        changed, self._changed = self._changed, trio.Event()
        changed.set()


class Link(Protocol):
    """Returns another node to work with, as `LinkedNode` does, that nobody has dialled yet."""

    def __call__(
        self,
        wanted: str,
        url: str,
        *,
        expect: str | None,
        key: Path | None,
        ca: Path | None,
    ) -> LinkedNode:
        """Return the node at *url* that shows the key *expect*, or is vouched for in *ca*.

        We prove ourselves there with the private key in the file *key*, or with the node's own. A
        relative path begins beside the settings.

        Raises:
            SettingsError: a file cannot be used.
        """
        ...
