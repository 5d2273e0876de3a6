"""RemoteClient: calls over a link. The same verbs as in the process, encoded."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import trio

from alknet.call.client import HERE, Client, Timeout, late
from alknet.call.operation import operation_type
from alknet.call.payload import PayloadType, encode
from alknet.call.pending import PendingCall, PendingStream, read_output
from alknet.call.session import Session
from alknet.call.stream import DEFAULT_WINDOW, Stream
from alknet.identity import Identity
from alknet.protocol.request import AnyRequest, Request, Subscription
from alknet.wire.limits import UNSENT_PAUSE_BYTES

Reply = TypeVar("Reply")
Item = TypeVar("Item")

_ANYTHING = PayloadType(Any)
DEFAULT_TIMEOUT = 30.0


class RemoteCall(PendingCall):
    """A call over a link; a caller that stops waiting tells the peer."""

    __slots__ = ("_path", "_seconds", "_session", "request_id")

    def __init__(self, session: Session, path: str, seconds: float) -> None:
        super().__init__()
        self._session = session
        self._path = path
        self._seconds = seconds
        self.request_id = ""

    def abandon(self) -> None:
        self.is_over = True
        self._session.give_up(self.request_id)

    def expire(self) -> None:
        self._session.give_up(self.request_id)
        self.fail(late(self._path, self._seconds))


class RemoteClient(Client):
    """Calls the node at the other end of *session*, and through it the peers connected to it.

    *timeout*, in seconds, bounds every call that brings none of its own. *on_behalf_of* names the
    caller for whom these calls are made, to a peer that lets us say so.
    """

    def __init__(
        self,
        session: Session,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        on_behalf_of: Identity | None = None,
    ) -> None:
        self.session = session
        self._timeout = timeout
        self._fields: dict[str, Any] = {}
        self._routes: dict[tuple[str, type[AnyRequest]], tuple[str, PayloadType]] = {}
        if on_behalf_of is not None:
            self._fields["forwarded_for"] = encode(on_behalf_of, session.format)

    async def call(
        self, request: Request[Reply], *, node: str = HERE, timeout: float | None = None
    ) -> Reply:
        route = self._routes.get((node, type(request)))
        if route is None:
            typed = operation_type(type(request))
            route = (f"/{node}/{typed.spec.name}", typed.output)
            self._routes[node, type(request)] = route
        path, output = route
        reply: Reply = await self._ask(path, request, output, timeout)
        return reply

    async def invoke(self, path: str, input: Any = None, *, timeout: float | None = None) -> Any:
        return await self._ask(path, {} if input is None else input, _ANYTHING, timeout)

    def stream(
        self, request: Subscription[Item], *, node: str = HERE, window: int = DEFAULT_WINDOW
    ) -> Stream[Item]:
        typed = operation_type(type(request))
        return Stream(self._starter(f"/{node}/{typed.spec.name}", request, typed.output), window)

    def invoke_stream(
        self, path: str, input: Any = None, *, window: int = DEFAULT_WINDOW
    ) -> Stream[Any]:
        return Stream(self._starter(path, {} if input is None else input, _ANYTHING), window)

    async def _ask(self, path: str, input: Any, output: PayloadType, timeout: float | None) -> Any:
        session = self.session
        seconds = self._timeout if timeout is None else timeout
        raw = encode(input, session.format)
        deadline = trio.current_time() + seconds
        if session.encoder.pending > UNSENT_PAUSE_BYTES:
            with Timeout(path, seconds):
                await session.room()
        callers = trio.current_effective_deadline()
        call = RemoteCall(session, path, seconds)
        call.request_id = session.ask(
            path, raw, call, deadline_ms=wire_deadline(min(deadline, callers)), **self._fields
        )
        if deadline < callers:
            session.deadlines.add(deadline, call)
        answer, format = await call.wait()
        return read_output(output, answer, format, path)

    def _starter(
        self, path: str, input: Any, item: PayloadType
    ) -> Callable[[Stream[Any]], Callable[[], None]]:
        session = self.session
        raw = encode(input, session.format)

        def start(stream: Stream[Any]) -> Callable[[], None]:
            pending = PendingStream(stream, item, path)
            request_id = session.ask(path, raw, pending, window=stream.window, **self._fields)
            pending.give_up = partial(session.give_up, request_id)
            stream.grant_with(partial(session.grant, request_id))
            return pending.give_up

        return start


def wire_deadline(deadline: float) -> int | None:
    """Return a point in Trio's clock as Unix milliseconds; None if it is infinite."""
    if deadline == math.inf:
        return None
    return int((time.time() + deadline - trio.current_time()) * 1000)


def local_deadline(deadline_ms: int) -> float:
    """Return the point in Trio's clock that a peer's Unix milliseconds mean.

    The two machines' clocks are taken to agree; `alknet doctor` says where they do not.
    """
    return trio.current_time() + deadline_ms / 1000 - time.time()
