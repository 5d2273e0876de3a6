"""A service that does what it is told, and remembers what became of its handlers."""

from collections.abc import AsyncIterator

import trio

from alknet import Context, Request, Service, Subscription, handler, operation
from alknet.errors import NotFound


@operation("echo/say")
class Say(Request[str], frozen=True):
    """Return `text`, one call at a time."""

    text: str


@operation("echo/shout", scopes=("echo:shout",))
class Shout(Request[str], frozen=True):
    """Return `text` in upper case, at once."""

    text: str


@operation("echo/whoami")
class WhoAmI(Request[str | None], frozen=True):
    """Return the id of the caller."""


@operation("echo/hold", kind="mutation")
class Hold(Request[str], frozen=True):
    """Return when the service is told to let go; side by side with others."""


@operation("echo/keep", kind="mutation")
class Keep(Request[str], frozen=True):
    """Return when the service is told to let go; nobody else is served meanwhile."""


@operation("echo/note", kind="mutation")
class Note(Request[None], frozen=True):
    """Write `text` down, one call at a time and without waiting."""

    text: str


@operation("echo/fail")
class Fail(Request[None], frozen=True):
    """Raise NotFound with details, or, if `badly`, something that is no CallError."""

    badly: bool = False


@operation("echo/count", scopes=("echo:count",))
class Count(Subscription[int], frozen=True):
    """Yield the numbers below `to`."""

    to: int


@operation("echo/ticks")
class Ticks(Subscription[int], frozen=True):
    """Yield 0, and then nothing more, without an end."""


@operation("echo/silence")
class Silence(Subscription[int], frozen=True):
    """Yield nothing at all, without an end."""


@operation("echo/secret", visibility="internal")
class Secret(Request[str], frozen=True):
    """Return what only this process may know."""


@operation("echo/whisper", confidential=True)
class Whisper(Request[str], frozen=True):
    """Return `text`, over links that nobody can listen to."""

    text: str


class Echo(Service, namespace="echo"):
    """Answers the requests above.

    `begun` counts the handlers that have begun to wait or to produce, and `active` those that have
    not ended; `notes` is what has been written down, in order.
    """

    def __init__(self) -> None:
        self.let_go = trio.Event()
        self.begun = 0
        self.active = 0
        self.most_active = 0
        self.notes: list[str] = []

    async def has_begun(self, times: int = 1) -> None:
        """Return when that many handlers have begun."""
        while self.begun < times:
            await trio.lowlevel.checkpoint()

    async def has_ended(self) -> None:
        """Return when no handler runs."""
        while self.active:
            await trio.lowlevel.checkpoint()

    def _begin(self) -> None:
        self.begun += 1
        self.active += 1
        self.most_active = max(self.most_active, self.active)

    @handler
    async def say(self, request: Say) -> str:
        return request.text

    @handler(concurrent=True)
    def shout(self, request: Shout) -> str:
        return request.text.upper()

    @handler(concurrent=True)
    def whoami(self, _: WhoAmI, context: Context) -> str | None:
        return context.identity.id if context.identity else None

    @handler(concurrent=True)
    async def hold(self, _: Hold) -> str:
        self._begin()
        try:
            await self.let_go.wait()
        finally:
            self.active -= 1
        return "held"

    @handler
    async def keep(self, _: Keep) -> str:
        self._begin()
        try:
            await self.let_go.wait()
        finally:
            self.active -= 1
        return "kept"

    @handler
    def note(self, request: Note) -> None:
        self.notes.append(request.text)

    @handler
    async def fail(self, request: Fail) -> None:
        if request.badly:
            raise ZeroDivisionError("the phrase is hunter2")
        raise NotFound("there is no such thing", details={"thing": 7})

    @handler
    async def count(self, request: Count) -> AsyncIterator[int]:
        self._begin()
        try:
            for number in range(request.to):
                yield number
        finally:
            self.active -= 1

    @handler
    async def ticks(self, _: Ticks) -> AsyncIterator[int]:
        self._begin()
        try:
            yield 0
            await self.let_go.wait()
        finally:
            self.active -= 1

    @handler
    async def silence(self, _: Silence) -> AsyncIterator[int]:
        self._begin()
        try:
            await self.let_go.wait()
            yield 0
        finally:
            self.active -= 1

    @handler
    async def secret(self, _: Secret) -> str:
        return "hunter2"

    @handler(concurrent=True)
    def whisper(self, request: Whisper) -> str:
        return request.text
