"""LocalClient: calls within the process. Nothing is encoded, nothing leaves the thread."""

import math
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import trio

from alknet.call import trace
from alknet.call.caller import Caller, named
from alknet.call.client import HERE, Client, Timeout
from alknet.call.context import Context
from alknet.call.home import Home
from alknet.call.invocation import ContextSource, Entry
from alknet.call.items import DEFAULT_WINDOW, Items
from alknet.call.made import sink_of, translated
from alknet.call.measure import TIMED_EVERY, code_of
from alknet.call.near import LocalInvocation, LocalStreamInvocation, Told, TracedInvocation
from alknet.call.payload import as_in_json
from alknet.call.sink import DuplexStream, pour
from alknet.call.stream import Start, Stop, Stream
from alknet.call.trace import Span
from alknet.call.watch import Watch
from alknet.errors import Unauthenticated
from alknet.identity import Identity
from alknet.protocol.request import AnyRequest, Duplex, Kind, Request, Subscription, Upload

Reply = TypeVar("Reply")
Item = TypeVar("Item")
In = TypeVar("In")
Out = TypeVar("Out")


class LocalClient(Caller):
    """Calls the services of this process, and over its links the peers connected to it.

    With *parent* it is the `env` of a handler, as `Caller` says.
    """

    def __init__(
        self,
        home: Home,
        identity: Identity | None,
        *,
        parent: Context | None = None,
        uses: frozenset[str] | None = None,
    ) -> None:
        super().__init__(home, identity, parent=parent, uses=uses)
        # Rules and identity are fixed, so a request type that was let in once stays let in.
        self._admitted: dict[type[AnyRequest], Entry] = {}

    def with_token(self, token: str) -> Client:
        raise Unauthenticated(
            "a call within the process takes no token: its caller is whoever made the client; "
            "auth/verify-token says whose it is"
        )

    async def call(
        self, request: Request[Reply], *, node: str = HERE, timeout: float | None = None
    ) -> Reply:
        if node is not HERE and not self._home.is_here(node):
            return await self.peer(node, named(request)).call(request, timeout=timeout)
        entry = self._admitted.get(type(request))
        if entry is None:
            away = self.away(request)
            if away is not None:
                return await away.call(request, timeout=timeout)
            entry = self._admit(request, "query", "mutation")
            if entry.request_type is None:
                return await self._call_made(entry, request, timeout)
        result: Reply
        if timeout is None:
            result = await self._run(entry, request)
        else:
            with Timeout(entry.spec.name, timeout):
                result = await self._run(entry, request)
        return result

    def stream(
        self,
        request: Subscription[Item],
        *,
        node: str = HERE,
        window: int = DEFAULT_WINDOW,
        idle_timeout: float | None = None,
    ) -> Stream[Item]:
        away = self.away(request, node)
        if away is not None:
            return away.stream(request, window=window, idle_timeout=idle_timeout)
        entry = self._admit(request, "subscription")
        start = self._starter(entry, *translated(entry, request))
        return Stream(start, window, idle_timeout=idle_timeout)

    async def upload(
        self,
        request: Upload[Item, Reply],
        items: AsyncIterable[Item] | Iterable[Item],
        *,
        node: str = HERE,
        timeout: float | None = None,
    ) -> Reply:
        away = self.away(request, node)
        if away is not None:
            return await away.upload(request, items, timeout=timeout)
        entry = self._admit(request, "upload")
        asked, read = translated(entry, request)
        span = self._span(entry)
        entry.measure.local += 1
        with (
            Watch(entry.measure, span),
            Timeout(entry.spec.name, math.inf if timeout is None else timeout),
        ):
            invocation = self._invocation(entry, asked, span)
            items_here = invocation.items = Items()
            entry.endpoint.submit(invocation)
            reply: Reply = await pour(items, sink_of(entry, items_here), invocation.wait)
        return reply if read is None else read(reply)

    def duplex(
        self, request: Duplex[In, Out], *, node: str = HERE, window: int = DEFAULT_WINDOW
    ) -> DuplexStream[In, Out]:
        away = self.away(request, node)
        if away is not None:
            return away.duplex(request, window=window)
        entry = self._admit(request, "duplex")
        asked, read = translated(entry, request)

        async def start(stream: Stream[Any]) -> Stop:
            invocation = self._stream_invocation(entry, asked, stream, read)
            invocation.items = Items(window)
            duplex.sink = sink_of(entry, invocation.items)
            entry.endpoint.submit(invocation)
            return invocation.stop

        duplex: DuplexStream[In, Out] = DuplexStream(start, window)
        return duplex

    async def invoke(self, path: str, input: Any = None, *, timeout: float | None = None) -> Any:
        name, away = self.way(path)
        if away is not None:
            return await away.invoke(f"/{HERE}/{name}", input, timeout=timeout)
        entry = self._home.registry.find(name)
        request = self.read(entry, input, "query", "mutation")
        with Timeout(name, math.inf if timeout is None else timeout):
            return as_in_json(await self._run(entry, request))

    def invoke_stream(
        self,
        path: str,
        input: Any = None,
        *,
        window: int = DEFAULT_WINDOW,
        idle_timeout: float | None = None,
    ) -> Stream[Any]:
        name, away = self.way(path)
        if away is not None:
            path = f"/{HERE}/{name}"
            return away.invoke_stream(path, input, window=window, idle_timeout=idle_timeout)
        entry = self._home.registry.find(name)
        request = self.read(entry, input, "subscription")
        return Stream(self._starter(entry, request, as_in_json), window, idle_timeout=idle_timeout)

    async def _call_made(
        self, entry: Entry, request: Request[Reply], timeout: float | None
    ) -> Reply:
        """Call a hand-made operation with a request type that has its name."""
        asked, read = translated(entry, request)
        with Timeout(entry.spec.name, math.inf if timeout is None else timeout):
            answer: Reply = await self._run(entry, asked)
        return answer if read is None else read(answer)

    def _run(self, entry: Entry, request: Any) -> Coroutine[Any, Any, Any]:
        """Have *request* answered; await what is returned, at once, for the reply.

        It is no coroutine itself, since most calls would pay for one more than they need.
        """
        measure = entry.measure
        measure.local = begun = measure.local + 1
        if begun % TIMED_EVERY == 1 or trace.is_live:
            return self._run_watched(entry, request, begun)
        endpoint = entry.endpoint
        if endpoint.is_inline:
            return self._run_inline(entry, request)
        source = self._told(entry) if endpoint.wants_context else self
        invocation = LocalInvocation(entry, request, source)
        endpoint.submit(invocation)
        return invocation.wait()

    async def _run_inline(self, entry: Entry, request: Any) -> Any:
        try:
            await trio.lowlevel.checkpoint()
            source = self._told(entry) if entry.endpoint.wants_context else self
            reply = await entry.endpoint.answer(entry, request, source)
        except BaseException as error:
            entry.measure.failed(code_of(error))
            raise
        entry.measure.answered += 1
        return reply

    async def _run_watched(self, entry: Entry, request: Any, begun: int) -> Any:
        """Do what `_run` does, for a call that is timed or may belong to a trace."""
        endpoint, measure = entry.endpoint, entry.measure
        calls = 0 if begun % TIMED_EVERY != 1 else TIMED_EVERY if begun > 1 else 1
        span = self._span(entry)
        with Watch(measure, span, calls=calls):
            if not endpoint.is_inline:
                invocation = self._invocation(entry, request, span)
                endpoint.submit(invocation)
                return await invocation.wait()
            try:
                await trio.lowlevel.checkpoint()
                source = self._source(entry, span)
                answer = endpoint.answer(entry, request, source)
                reply = await (answer if span is None else trace.awaited(span, answer))
            except BaseException as error:
                measure.failed(code_of(error))
                raise
            measure.answered += 1
            return reply

    def _span(self, entry: Entry) -> Span | None:
        """Return the span of a call of *entry* by this client, if it belongs to a trace."""
        if not trace.is_live:
            return None
        parent = self._parent
        return trace.made(entry.spec.name, "local", None if parent is None else parent.traceparent)

    def _invocation(self, entry: Entry, request: Any, span: Span | None) -> LocalInvocation:
        source = self._source(entry, span)
        if span is None:
            return LocalInvocation(entry, request, source)
        return TracedInvocation(entry, request, source, span)

    def _source(self, entry: Entry, span: Span | None) -> ContextSource:
        """Return what makes the context of a call; itself, if nobody need know it beforehand."""
        return (
            self if span is None and not entry.endpoint.wants_context else self._told(entry, span)
        )

    def _told(self, entry: Entry, span: Span | None = None) -> Told:
        """Return the context of a call that its caller, who runs now, waits for.

        What the caller's scopes leave it of time is for the handler to know, who runs elsewhere.
        """
        return Told(self.context(entry, span, trio.current_effective_deadline()))

    def _stream_invocation(
        self,
        entry: Entry,
        request: Any,
        stream: Stream[Any],
        convert: Callable[[Any], Any] | None = None,
    ) -> LocalStreamInvocation:
        span = self._span(entry)
        context = self.context(entry, span)
        return LocalStreamInvocation(entry, request, context, stream, convert, span)

    def _starter(
        self, entry: Entry, request: Any, convert: Callable[[Any], Any] | None = None
    ) -> Start:
        async def start(stream: Stream[Any]) -> Stop:
            invocation = self._stream_invocation(entry, request, stream, convert)
            entry.endpoint.submit(invocation)
            return invocation.stop

        return start

    def context(
        self, entry: Entry, span: Span | None = None, deadline: float = math.inf
    ) -> Context:
        """Return the context of a call of *entry* by this client, which has that *deadline*."""
        parent = self._parent
        return Context(
            self._home,
            entry.spec,
            self._identity,
            declared=entry.endpoint.declared,
            parent_id=None if parent is None else parent.request_id,
            deadline=deadline if parent is None else min(deadline, parent.deadline),
            metadata=self._metadata,
            traceparent=None if span is None else span.traceparent,
        )

    def _admit(self, request: AnyRequest, *kinds: Kind) -> Entry:
        """Return who answers *request*, having checked that this client may ask."""
        entry = self._home.registry.find_type(type(request))
        self.check(entry, request)
        entry.spec.expect(*kinds)
        # Only `call` looks there, which is why only what can be called, as it is, is put there.
        is_typed = entry.request_type is not None
        if is_typed and "query" in kinds and entry.spec.access.resource_type is None:
            self._admitted[type(request)] = entry
        return entry
