"""RemoteClient: calls over a link. The same verbs as in the process, encoded."""

import math
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import trio

from alknet.call import trace
from alknet.call.client import HERE, Client, Timeout
from alknet.call.context import Context
from alknet.call.items import DEFAULT_WINDOW, Items
from alknet.call.measure import code_of
from alknet.call.operation import operation_type
from alknet.call.outbound import PendingDuplex, RemoteCall, RemoteUpload
from alknet.call.payload import PayloadType, PlainType, encode
from alknet.call.pending import PendingStream
from alknet.call.session import Session
from alknet.call.sink import DuplexStream, pour
from alknet.call.stream import ResumedStream, Start, Stop, Stream
from alknet.call.trace import Span
from alknet.call.uplink import Uplink
from alknet.call.watch import ended
from alknet.call.wire_time import GRACE_MS, wire_deadline
from alknet.errors import Disconnected, Forbidden
from alknet.identity import Identity
from alknet.protocol.request import AnyRequest, Duplex, Request, Subscription, Upload

Reply = TypeVar("Reply")
Item = TypeVar("Item")
In = TypeVar("In")
Out = TypeVar("Out")

_PLAIN: Final = PlainType()
DEFAULT_TIMEOUT = 30.0


class RemoteClient(Client):
    """Calls the node at the other end of *session*, and through it the peers connected to it.

    *timeout*, in seconds, bounds every call that brings none of its own. *on_behalf_of* names the
    caller for whom these calls are made, to a peer that lets us say so, and *parent* the call whose
    handler makes them. *node* is who answers where a call names nobody else. *reconnects* says that
    somebody will `attach` a new session when this one is lost; calls then wait for it.
    """

    def __init__(
        self,
        session: Session,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        on_behalf_of: Identity | None = None,
        parent: Context | None = None,
        reconnects: bool = False,
        node: str = HERE,
    ) -> None:
        self._node = node
        self._uplink = Uplink(session, reconnects=reconnects)
        self._timeout = timeout
        self._fields: dict[str, Any] = {}
        self._routes: dict[tuple[str, type[AnyRequest]], tuple[str, PayloadType]] = {}
        if on_behalf_of is not None:
            self._fields["forwarded_for"] = encode(on_behalf_of, session.format)
        self._parent = parent
        if parent is not None:
            self._fields["parent_id"] = parent.request_id

    def with_token(self, token: str) -> "RemoteClient":
        if not self.session.link.is_confidential:
            raise Forbidden(
                f"the token was not sent to {self.session.link.peer_address}, since others could "
                f"listen: use wss://"
            )
        other = copy(self)
        other._fields = {**self._fields, "auth_token": token}
        return other

    def with_metadata(self, metadata: Mapping[str, Any]) -> "RemoteClient":
        other = copy(self)
        other._fields = {**self._fields, "metadata": encode(metadata, self.session.format)}
        return other

    @property
    def session(self) -> Session:
        """The link that calls go over."""
        return self._uplink.session

    def attach(self, session: Session) -> None:
        """Make calls over *session* from now on, and let those go on that wait for a link."""
        self._uplink.attach(session)

    @property
    def reconnects(self) -> bool:
        return self._uplink.reconnects

    @property
    def is_linked(self) -> bool:
        return not self.session.is_closed

    async def call(
        self, request: Request[Reply], *, node: str = HERE, timeout: float | None = None
    ) -> Reply:
        route = self._routes.get((node, type(request)))
        if route is None:
            typed = operation_type(type(request))
            typed.spec.expect("query", "mutation")
            if typed.spec.confidential and not self.session.link.is_confidential:
                raise Forbidden(
                    f"{typed.spec.name} carries secrets and was not sent to "
                    f"{self.session.link.peer_address}, since others could listen: use wss://"
                )
            route = (self._path(node, typed.spec.name), typed.output)
            self._routes[node, type(request)] = route
        path, output = route
        seconds = self._timeout if timeout is None else timeout
        deadline = trio.current_time() + seconds
        span = self._span(path) if trace.is_live else None
        try:
            if not self._uplink.is_ready:
                await self._uplink.wait(path, seconds)
            reply: Reply = await self._ask(path, request, output, seconds, deadline, span).wait()
        except BaseException as error:
            if span is not None:
                span.end(code_of(error))
            if isinstance(error, Disconnected):
                # Whether it was carried out nobody knows; whether it matters, the operation says.
                error.retryable = operation_type(type(request)).spec.idempotent
            raise
        if span is not None:
            span.end()
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
        typed.spec.expect("upload")
        path = self._path(node, typed.spec.name)
        span = self._span(path)
        try:
            with ended(span), Timeout(path, math.inf if timeout is None else timeout):
                if not self._uplink.is_ready:
                    await self._uplink.wait(path, self._timeout if timeout is None else timeout)
                session = self.session
                call = RemoteUpload(session, path, typed.output, self._timeout)
                raw = encode(request, session.format)
                deadline_ms = wire_deadline(self._tighter(trio.current_effective_deadline()))
                call.request_id = session.pending.ask(
                    path, raw, call, deadline_ms=deadline_ms, **self._with(span)
                )
                session.deadlines.add(call.due, call)
                reply: Reply = await pour(items, call.sink, call.wait)
        except Disconnected as error:
            error.retryable = typed.spec.idempotent
            raise
        return reply

    def duplex(
        self, request: Duplex[In, Out], *, node: str = HERE, window: int = DEFAULT_WINDOW
    ) -> DuplexStream[In, Out]:
        typed = operation_type(type(request))
        typed.spec.expect("duplex")
        path = self._path(node, typed.spec.name)

        async def start(stream: Stream[Any]) -> Stop:
            with self._opening(path) as span:
                session = await self._uplink.ready()
                pending = PendingDuplex(stream, typed.output, path, session)
                raw = encode(request, session.format)
                pending.request_id = self._subscribe(session, path, raw, pending, stream, span)
            duplex.sink = pending.sink
            return pending.stop

        duplex: DuplexStream[In, Out] = DuplexStream(start, window)
        return duplex

    async def invoke(self, path: str, input: Any = None, *, timeout: float | None = None) -> Any:
        seconds = self._timeout if timeout is None else timeout
        deadline = trio.current_time() + seconds
        span = self._span(path)
        with ended(span):
            if not self._uplink.is_ready:
                await self._uplink.wait(path, seconds)
            given = {} if input is None else input
            # A window of 0 says that one answer is wanted: an untyped caller may be wrong there.
            call = self._ask(path, given, _PLAIN, seconds, deadline, span, window=0)
            return await call.wait()

    def stream(
        self,
        request: Subscription[Item],
        *,
        node: str = HERE,
        window: int = DEFAULT_WINDOW,
        idle_timeout: float | None = None,
    ) -> Stream[Item]:
        typed = operation_type(type(request))
        typed.spec.expect("subscription")
        path = self._path(node, typed.spec.name)
        start = self._starter(path, request, typed.output)
        if typed.resume is None or not self._uplink.reconnects:
            return Stream(start, window, idle_timeout=idle_timeout)
        field, cursor = typed.resume

        def after(item: Item) -> Start:
            following = msgspec.structs.replace(request, **{field: getattr(item, cursor)})
            return self._starter(path, following, typed.output)

        return ResumedStream(start, window, after, idle_timeout=idle_timeout)

    def invoke_stream(
        self,
        path: str,
        input: Any = None,
        *,
        window: int = DEFAULT_WINDOW,
        idle_timeout: float | None = None,
    ) -> Stream[Any]:
        start = self._starter(path, {} if input is None else input, _PLAIN)
        return Stream(start, window, idle_timeout=idle_timeout)

    def _ask(
        self,
        path: str,
        input: Any,
        reply: PayloadType,
        seconds: float,
        deadline: float,
        span: Span | None = None,
        *,
        window: int | None = None,
    ) -> RemoteCall:
        """Send the request; whoever awaits the call gets its reply."""
        session = self._uplink.session
        raw = encode(input, session.format)
        callers = trio.current_effective_deadline()
        call = RemoteCall(session, path, reply, seconds)
        ask = session.pending.ask
        deadline_ms = wire_deadline(self._tighter(deadline if deadline < callers else callers))
        fields = self._fields if span is None else self._with(span)
        if fields:
            call.request_id = ask(path, raw, call, deadline_ms=deadline_ms, window=window, **fields)
        else:
            # Without `**`, which costs as much as writing the request; most calls have no more.
            call.request_id = ask(path, raw, call, deadline_ms=deadline_ms, window=window)
        if deadline < callers:
            session.deadlines.add(deadline, call)
        return call

    def _starter(self, path: str, input: Any, item: PayloadType) -> Start:
        async def start(stream: Stream[Any]) -> Stop:
            with self._opening(path) as span:
                session = await self._uplink.ready()
                pending = PendingStream(stream, item, path)
                raw = encode(input, session.format)
                self._subscribe(session, path, raw, pending, stream, span)
            return pending.stop

        return start

    def _subscribe(
        self,
        session: Session,
        path: str,
        raw: bytes,
        pending: PendingStream,
        items: Items[Any],
        span: Span | None,
    ) -> str:
        """Ask for a stream; return the request's id."""
        fields = self._with(span)
        if items.idle_timeout is not None:
            # The producer is told too, but the consumer's own clock decides.
            idle_ms = int(items.idle_timeout * 1000) + GRACE_MS
            fields = {**fields, "idle_timeout_ms": idle_ms}
        # A scope around the caller may be there for the beginning alone, and not for the stream.
        deadline_ms = wire_deadline(self._tighter(math.inf))
        request_id = session.pending.ask(
            path, raw, pending, deadline_ms=deadline_ms, window=items.window, **fields
        )
        pending.span = span
        pending.give_up = partial(session.pending.give_up, request_id)
        items.grant_with(partial(session.pending.grant, request_id))
        return request_id

    def _path(self, node: str, name: str) -> str:
        return f"/{self._node if node == HERE else node}/{name}"

    def _tighter(self, deadline: float) -> float:
        """Return *deadline*, or that of the call whose handler asks if it is earlier."""
        parent = self._parent
        return deadline if parent is None or deadline < parent.deadline else parent.deadline

    def _span(self, path: str) -> Span | None:
        """Return the span of a call of *path*, if it belongs to a trace."""
        if not trace.is_live:
            return None
        parent = None if self._parent is None else self._parent.traceparent
        return trace.made(path.removeprefix(f"/{HERE}").removeprefix("/"), "client", parent)

    @contextmanager
    def _opening(self, path: str) -> Iterator[Span | None]:
        """Make the span of a stream, and end it at once if the stream cannot be asked for."""
        span = self._span(path)
        try:
            yield span
        except BaseException as error:
            if span is not None:
                span.end(code_of(error))
            raise

    def _with(self, span: Span | None) -> dict[str, Any]:
        """Return the fields that every request of this client has, and those of *span*."""
        if span is None:
            return self._fields
        return {**self._fields, "traceparent": span.traceparent}
