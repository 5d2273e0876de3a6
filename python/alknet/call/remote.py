"""RemoteClient: calls over a link. The same verbs as in the process, encoded."""

import math
import time
from collections.abc import AsyncIterable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import trio

from alknet.call.client import HERE, Client, Timeout, late
from alknet.call.operation import operation_type
from alknet.call.payload import PayloadType, encode
from alknet.call.pending import PendingCall, PendingStream, read_output
from alknet.call.session import Session
from alknet.call.sink import CreditedSink, DuplexStream, pour
from alknet.call.stream import DEFAULT_WINDOW, Stream
from alknet.errors import CallError, Forbidden
from alknet.identity import Identity
from alknet.protocol.request import AnyRequest, Duplex, Request, Subscription, Upload
from alknet.wire.limits import UNSENT_PAUSE_BYTES

Reply = TypeVar("Reply")
Item = TypeVar("Item")
In = TypeVar("In")
Out = TypeVar("Out")

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


class RemoteUpload(RemoteCall):
    """An upload over a link: its time starts anew with each item that goes or is asked for."""

    __slots__ = ("due", "sink")

    def __init__(self, session: Session, path: str, seconds: float) -> None:
        super().__init__(session, path, seconds)
        self.due = trio.current_time() + seconds
        self.sink = CreditedSink(self._write, self._end, session.room)

    def invited(self, items: int) -> None:
        self.due = trio.current_time() + self._seconds
        self.sink.grant(items)

    def expire(self) -> None:
        if trio.current_time() < self.due:
            self._session.deadlines.add(self.due, self)
        else:
            super().expire()

    def _write(self, item: Any) -> None:
        session = self._session
        self.due = trio.current_time() + self._seconds
        session.send_item(self.request_id, encode(item, session.format), session.format)

    def _end(self) -> None:
        self._session.finish_items(self.request_id)

    def _settle(self) -> None:
        self.sink.close()
        super()._settle()


class PendingDuplex(PendingStream):
    """A duplex over a link: a subscription that sends items too."""

    __slots__ = ("_session", "request_id", "sink")

    def __init__(self, stream: Stream[Any], item: PayloadType, name: str, session: Session) -> None:
        super().__init__(stream, item, name)
        self._session = session
        self.request_id = ""
        self.sink = CreditedSink(self._write, self._end, session.room)

    def invited(self, items: int) -> None:
        self.sink.grant(items)

    def completed(self) -> None:
        self.sink.close()
        super().completed()

    def failed(self, error: CallError) -> None:
        self.sink.close()
        super().failed(error)

    def _write(self, item: Any) -> None:
        session = self._session
        session.send_item(self.request_id, encode(item, session.format), session.format)

    def _end(self) -> None:
        self._session.finish_items(self.request_id)


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
            if typed.spec.confidential and not self.session.link.is_confidential:
                raise Forbidden(
                    f"{typed.spec.name} carries secrets and was not sent to "
                    f"{self.session.link.peer_address}, since others could listen: use wss://"
                )
            route = (f"/{node}/{typed.spec.name}", typed.output)
            self._routes[node, type(request)] = route
        path, output = route
        reply: Reply = await self._ask(path, request, output, timeout)
        return reply

    async def upload(
        self,
        request: Upload[Item, Reply],
        items: AsyncIterable[Item] | Iterable[Item],
        *,
        node: str = HERE,
        timeout: float | None = None,
    ) -> Reply:
        typed = operation_type(type(request))
        path = f"/{node}/{typed.spec.name}"
        session = self.session
        with Timeout(path, math.inf if timeout is None else timeout):
            await session.room()
            call = RemoteUpload(session, path, self._timeout)
            call.request_id = session.ask(
                path, encode(request, session.format), call, **self._fields
            )
            session.deadlines.add(call.due, call)
            answer, format = await pour(items, call.sink, call.wait)
        reply: Reply = read_output(typed.output, answer, format, path)
        return reply

    def duplex(
        self, request: Duplex[In, Out], *, node: str = HERE, window: int = DEFAULT_WINDOW
    ) -> DuplexStream[In, Out]:
        typed = operation_type(type(request))
        path = f"/{node}/{typed.spec.name}"
        raw = encode(request, self.session.format)

        def start(stream: Stream[Any]) -> Callable[[], None]:
            pending = PendingDuplex(stream, typed.output, path, self.session)
            pending.request_id = self._subscribe(path, raw, pending, stream)
            duplex.sink = pending.sink
            return pending.give_up

        duplex: DuplexStream[In, Out] = DuplexStream(start, window)
        return duplex

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
            self._subscribe(path, raw, pending, stream)
            return pending.give_up

        return start

    def _subscribe(self, path: str, raw: bytes, pending: PendingStream, stream: Stream[Any]) -> str:
        """Ask for a stream; return the request's id."""
        session = self.session
        request_id = session.ask(path, raw, pending, window=stream.window, **self._fields)
        pending.give_up = partial(session.give_up, request_id)
        stream.grant_with(partial(session.grant, request_id))
        return request_id


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
