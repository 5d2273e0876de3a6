"""LocalClient: calls within the process. Nothing is encoded, nothing leaves the thread."""

import math
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from copy import copy
from typing import Any, TypeVar

import trio

from alknet.call import trace
from alknet.call.access import refusal
from alknet.call.client import ANY, HERE, Client, Timeout
from alknet.call.context import Context
from alknet.call.home import Home
from alknet.call.invocation import ContextSource, Entry
from alknet.call.items import DEFAULT_WINDOW, Items
from alknet.call.measure import TIMED_EVERY, code_of
from alknet.call.near import LocalInvocation, LocalStreamInvocation, Told, TracedInvocation
from alknet.call.operation import operation_type
from alknet.call.payload import as_in_json, plain
from alknet.call.pending import unpromised
from alknet.call.resource import resource_of
from alknet.call.sink import DuplexStream, LocalSink, pour
from alknet.call.stream import Start, Stop, Stream
from alknet.call.trace import Span
from alknet.call.watch import Watch
from alknet.errors import Forbidden, InvalidInput, Unauthenticated
from alknet.identity import Identity
from alknet.protocol.request import AnyRequest, Duplex, Kind, Request, Subscription, Upload

Reply = TypeVar("Reply")
Item = TypeVar("Item")
In = TypeVar("In")
Out = TypeVar("Out")


class LocalClient(Client):
    """Calls the services of this process, and over its links the peers connected to it.

    With *parent* it is the `env` of a handler: it acts for that handler's caller, may call only
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
        # Rules and identity are fixed, so a request type that was let in once stays let in.
        self._admitted: dict[type[AnyRequest], Entry] = {}

    def with_token(self, token: str) -> Client:
        raise Unauthenticated(
            "a call within the process takes no token: its caller is whoever made the client; "
            "auth/verify-token says whose it is"
        )

    def with_metadata(self, metadata: Mapping[str, Any]) -> "LocalClient":
        other = copy(self)
        other._metadata = plain(metadata)
        return other

    async def call(
        self, request: Request[Reply], *, node: str = HERE, timeout: float | None = None
    ) -> Reply:
        if node is not HERE and not self._home.is_here(node):
            return await self._peer(node, named(request)).call(request, timeout=timeout)
        entry = self._admitted.get(type(request))
        if entry is None:
            away = self._away(request)
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
        away = self._away(request, node)
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
        away = self._away(request, node)
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
        away = self._away(request, node)
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
        name, away = self._way(path)
        if away is not None:
            return await away.invoke(f"/{HERE}/{name}", input, timeout=timeout)
        entry = self._home.registry.find(name)
        request = self._read(entry, input, "query", "mutation")
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
        name, away = self._way(path)
        if away is not None:
            path = f"/{HERE}/{name}"
            return away.invoke_stream(path, input, window=window, idle_timeout=idle_timeout)
        entry = self._home.registry.find(name)
        request = self._read(entry, input, "subscription")
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
        self._check(entry, request)
        entry.spec.expect(*kinds)
        # Only `call` looks there, which is why only what can be called, as it is, is put there.
        is_typed = entry.request_type is not None
        if is_typed and "query" in kinds and entry.spec.access.resource_type is None:
            self._admitted[type(request)] = entry
        return entry

    def _read(self, entry: Entry, input: Any, *kinds: Kind) -> Any:
        """Return the typed request in *input*; who may not ask is not told what would fit."""
        on_resource = entry.spec.access.resource_type is not None
        if not on_resource:
            self._check(entry, None)
        entry.spec.expect(*kinds)
        request = entry.input.convert({} if input is None else input)
        if on_resource:
            self._check(entry, request)
        return request

    def _check(self, entry: Entry, request: Any) -> None:
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

    def _away(self, request: AnyRequest, node: str = HERE) -> Client | None:
        """Return the client for a *request* that somebody else answers; None if it is for here."""
        name = named(request)
        if not self._home.is_here(node):
            return self._peer(node, name)
        return self._elsewhere(name)

    def _way(self, path: str) -> tuple[str, Client | None]:
        """Return the operation's name, and the client for it if somebody else answers."""
        node, name = self._home.split(path)
        return name, self._elsewhere(name) if node is None else self._peer(node, name)

    def _elsewhere(self, name: str) -> Client | None:
        """Return the client for what a handler composes and this node does not answer itself.

        A handler says what it needs, not where that runs; of several peers that answer the
        operation, the one with the fewest calls in flight is asked.
        """
        home = self._home
        if self._parent is None or home.registry.get(name) is not None:
            return None
        return self._peer(ANY, name) if home.peers.answer(name) else None

    def _peer(self, node: str, name: str) -> Client:
        """Return a client for the operation *name* of a peer; the peer makes its own check."""
        self._declared(name)
        identity, peers = self._identity, self._home.peers
        if identity is None:
            # Asked in nobody's name, it would count as a wish of this node's own.
            raise Unauthenticated(f"{node}/{name} wants to know who calls: authenticate first")
        asked_for = None if identity is self._home.itself else identity
        client = peers.client(node, name, on_behalf_of=asked_for, parent=self._parent)
        return client if self._metadata is None else client.with_metadata(self._metadata)


def translated(entry: Entry, request: AnyRequest) -> tuple[Any, Callable[[Any], Any] | None]:
    """Return *request* as *entry* takes it, and what makes a typed answer of what it answers.

    A hand-made operation takes and answers plain JSON values; for others there is nothing to do.

    Raises:
        InvalidInput: the request is not what the operation takes.
    """
    if entry.request_type is not None:
        return request, None
    output = operation_type(type(request)).output

    def read(answer: Any) -> Any:
        try:
            return output.convert(answer)
        except InvalidInput as misfit:
            raise unpromised(entry.spec.name, misfit) from None

    return entry.input.convert(request), read


def sink_of(entry: Entry, items: Items[Any]) -> LocalSink:
    """Return the sink for the items of a typed caller of *entry*."""
    if entry.request_type is not None or entry.item is None:
        return LocalSink(items)
    return LocalSink(items, entry.item.convert)


def named(request: AnyRequest) -> str:
    """Return the name of the operation that *request* asks for."""
    return request.__operation__.name
