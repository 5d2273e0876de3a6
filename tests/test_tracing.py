"""Tracing: each call is a span under the one that asked for it, wherever either of them runs."""

from collections.abc import AsyncIterator

import pytest
import trio
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from trio.testing import wait_all_tasks_blocked

from alknet import Context, Request, Service, Subscription, handler, operation, tracing
from alknet.call import trace
from alknet.call.payload import PayloadType
from alknet.call.pending import PendingCall
from alknet.errors import CallError

from .echo import Count, Echo, Fail, Hold, Keep, Say, Shout, Ticks
from .linked import linked, running, working
from .people import ROOT

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GIVEN = f"00-{TRACE}-00f067aa0ba902b7-01"


class Seen(SpanProcessor):
    """The spans that have begun, and those that have ended, with how often."""

    def __init__(self):
        self.open = {}
        self.ended = []

    def on_start(self, span, parent_context=None):
        self.open[span.context.span_id] = span

    def on_end(self, span):
        del self.open[span.context.span_id]  # a KeyError, if a span is ended twice
        self.ended.append(span)

    def forget(self):
        self.ended.clear()

    def tree(self):
        """Return every span as `name kind` with those below it in order of their start."""
        spans = sorted(self.ended, key=lambda span: span.start_time)
        ids = {span.context.span_id for span in spans}

        def below(parent_id):
            return [
                (f"{span.name} {span.kind.name.lower()}", below(span.context.span_id))
                for span in spans
                if (span.parent.span_id if span.parent else None) == parent_id
            ]

        roots = {span.parent.span_id if span.parent else None for span in spans} - ids
        return [found for root in sorted(roots, key=str) for found in below(root)]

    def named(self, name, kind=None):
        [span] = [
            span for span in self.ended if span.name == name and (kind is None or span.kind is kind)
        ]
        return span


@pytest.fixture
def provider():
    return TracerProvider(shutdown_on_exit=False)


@pytest.fixture(autouse=True)
def seen(provider, monkeypatch):
    """Trace the calls of one test, and look for none in the next."""
    seen = Seen()
    provider.add_span_processor(seen)
    monkeypatch.setattr(trace, "is_live", False)
    tracing.use_opentelemetry(provider)
    yield seen
    tracing.stop()
    assert seen.open == {}, "these spans were never ended"


@operation("way/start")
class Start(Request[None], frozen=True):
    """Ask `Say`, `Shout` and `Count` of `node`, each in a task of its own."""

    node: str = "head"


@operation("way/own")
class Own(Request[None], frozen=True):
    """Ask `Say` within a span of the handler's own."""


@operation("way/stream")
class WayStream(Subscription[str], frozen=True):
    """Ask `Say` for each of two items."""


@operation("way/away")
class Away(Request[None], frozen=True):
    """Ask `Say` over a client that knows nothing of this call."""


class Way(Service, namespace="way"):
    def __init__(self):
        self.other = None

    @handler(uses=(Say, Shout, Count))
    async def start(self, request: Start, context: Context) -> None:
        async def count():
            async with context.env.stream(Count(2), node=request.node) as items:
                async for _ in items:
                    pass

        async def call(asked):
            await context.env.call(asked, node=request.node)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, Say("hi"))
            await wait_all_tasks_blocked()
            nursery.start_soon(call, Shout("hi"))
            await wait_all_tasks_blocked()
            nursery.start_soon(count)

    @handler(concurrent=True, uses=(Say,))
    async def own(self, _: Own, context: Context) -> None:
        with otel.get_tracer("mine", tracer_provider=PROVIDER[0]).start_as_current_span("mine"):
            await context.env.call(Say("hi"))

    @handler(uses=(Say,))
    async def stream(self, _: WayStream, context: Context) -> AsyncIterator[str]:
        for number in range(2):
            yield await context.env.call(Say(str(number)))

    @handler(concurrent=True)
    async def away(self, _: Away) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.other.call, Say("hi"))


PROVIDER = []


@pytest.fixture
def way(provider):
    PROVIDER[:] = [provider]
    return Way()


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
async def dispatcher(way, echo):
    async with running(way, echo) as dispatcher:
        yield dispatcher


@pytest.fixture
async def link(dispatcher):
    async with linked(dispatcher, identity=ROOT) as link:
        yield link


@pytest.fixture
def here(dispatcher):
    return dispatcher.client(ROOT)


@pytest.mark.parametrize("request_", [Say("hi"), Shout("hi")], ids=["mailbox", "inline"])
async def test_a_call_from_here_is_one_span(here, seen, request_):
    for _ in range(3):  # the first is timed, the others not
        await here.call(request_)

    assert seen.tree() == [(f"{request_.__operation__.name} internal", [])] * 3
    assert len({span.context.trace_id for span in seen.ended}) == 3


@pytest.mark.parametrize("request_", [Say("hi"), Shout("hi")], ids=["mailbox", "inline"])
async def test_a_call_over_a_link_is_a_span_at_either_end(link, seen, request_):
    await link.client.call(request_)

    name = request_.__operation__.name
    assert seen.tree() == [(f"{name} client", [(f"{name} server", [])])]


async def test_untyped_calls_are_spans_too(here, link, seen):
    await here.invoke("/head/echo/say", {"text": "hi"})
    await link.client.invoke("/head/echo/say", {"text": "hi"})

    assert sorted(seen.tree()) == [
        ("echo/say client", [("echo/say server", [])]),
        ("echo/say internal", []),
    ]


BELOW = [("echo/say", []), ("echo/shout", []), ("echo/count", [])]


async def test_what_a_handler_asks_in_a_nursery_stands_below_it(here, seen):
    await here.call(Start())

    below = [(f"{name} internal", []) for name, _ in BELOW]
    assert seen.tree() == [("way/start internal", below)]


async def test_what_a_handler_asks_of_a_worker_stands_below_it(dispatcher, link, seen):
    async with working(dispatcher, Echo()):
        await link.client.call(Start("worker-1"))

    below = [(f"{name} client", [(f"{name} server", [])]) for name, _ in BELOW]
    assert seen.tree() == [("way/start client", [("way/start server", below)])]


async def test_a_relay_stands_between_the_caller_and_the_worker(dispatcher, link, seen):
    async with working(dispatcher, Echo()):
        await link.client.call(Say("hi"), node="worker-1")
        async with link.client.stream(Count(2), node="worker-1") as items:
            assert [item async for item in items] == [0, 1]

    assert sorted(seen.tree()) == [
        (f"worker-1/{name} client", [(f"{name} server", [(f"{name} server", [])])])
        for name in ("echo/count", "echo/say")
    ]
    relays = [span for span in seen.ended if span.attributes["alknet.relayed"]]
    assert len(relays) == 2


async def test_spans_of_ones_own_are_part_of_it(link, seen, provider):
    with otel.get_tracer("mine", tracer_provider=provider).start_as_current_span("outermost"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.client.call, Own())

    inner = [("mine internal", [("echo/say internal", [])])]
    assert seen.tree() == [
        ("outermost internal", [("way/own client", [("way/own server", inner)])])
    ]


async def test_a_client_that_knows_nothing_of_the_handler_asks_below_it(
    dispatcher, link, way, seen
):
    for other in (link.client, dispatcher.client(ROOT)):
        way.other = other
        await link.client.call(Away())

    below = [span for span in seen.ended if span.name == "echo/say"]
    above = {span.context.span_id for span in seen.ended if span.name == "way/away"}
    assert sum(span.parent.span_id in above for span in below) == 2


async def test_a_stream_is_a_span_until_its_end_with_what_it_asks_below(here, link, seen):
    below = [("echo/say internal", [])] * 2
    async with here.stream(WayStream()) as items:
        assert [item async for item in items] == ["0", "1"]
    assert seen.tree() == [("way/stream internal", below)]
    seen.forget()

    async with link.client.stream(WayStream()) as items:
        assert [item async for item in items] == ["0", "1"]
    assert seen.tree() == [("way/stream client", [("way/stream server", below)])]


async def test_a_peers_trace_goes_on_and_its_nonsense_begins_a_new_one(link, seen):
    for traceparent in (GIVEN, "nonsense"):
        call = PendingCall(PayloadType(str), "say")
        link.near.pending.ask("/head/echo/say", b'{"text":"hi"}', call, traceparent=traceparent)
        await call.wait()

    given, nonsense = seen.ended
    assert f"{given.context.trace_id:032x}" == TRACE
    assert f"{given.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert nonsense.parent is None
    assert nonsense.context.trace_id != given.context.trace_id


async def test_a_handler_leaves_no_span_to_the_one_after_it(here, link, seen):
    for client in (here, link.client):
        for request in (Own(), Say("hi"), Start()):
            await client.call(request)

    roots = [span for span in seen.ended if span.parent is None]
    assert sorted(span.name for span in roots) == sorted(["way/own", "echo/say", "way/start"] * 2)


@pytest.mark.parametrize("badly", [False, True])
async def test_an_error_is_the_status_of_the_span_by_its_code_alone(here, link, seen, badly):
    for client in (here, link.client):
        with pytest.raises(CallError):
            await client.call(Fail(badly))

    code = "INTERNAL" if badly else "NOT_FOUND"
    assert len(seen.ended) == 3
    for span in seen.ended:
        assert span.status.status_code is otel.StatusCode.ERROR
        assert span.status.description == span.attributes["error.type"] == code
        assert "alknet.cancelled" not in span.attributes
        assert span.events == ()
        assert "hunter2" not in span.to_json()


@pytest.mark.parametrize("request_", [Keep(), Hold()], ids=["mailbox", "concurrent"])
@pytest.mark.parametrize("where", ["here", "there", "worker"])
async def test_a_cancelled_call_is_marked_as_such_everywhere(
    dispatcher, here, link, echo, seen, request_, where
):
    far = Echo()
    async with working(dispatcher, far), trio.open_nursery() as nursery:

        async def ask():
            if where == "here":
                await here.call(request_)
            else:
                node = "head" if where == "there" else "worker-1"
                await link.client.call(request_, node=node)

        nursery.start_soon(ask)
        await (far if where == "worker" else echo).has_begun()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()

    assert len(seen.ended) == {"here": 1, "there": 2, "worker": 3}[where]
    for span in seen.ended:
        assert span.status.status_code is otel.StatusCode.ERROR
        assert span.attributes["alknet.cancelled"] is True


async def test_a_call_that_takes_too_long_is_a_timeout_at_either_end(link, seen, autojump_clock):
    with pytest.raises(CallError):
        await link.client.call(Hold(), timeout=3)
    await wait_all_tasks_blocked()

    assert [span.attributes["error.type"] for span in seen.ended] == ["TIMEOUT"] * 2


async def test_a_stream_that_is_left_ends_its_spans(here, link, seen):
    for client in (here, link.client):
        async with client.stream(Ticks()) as items:
            await anext(items)
    await wait_all_tasks_blocked()

    assert len(seen.ended) == 3
    assert all(span.attributes["alknet.cancelled"] for span in seen.ended)


async def test_a_lost_link_ends_every_span_once(dispatcher, link, echo, seen):
    far = Echo()
    async with working(dispatcher, far), trio.open_nursery() as nursery:

        async def ask(node):
            with pytest.raises(CallError):
                await link.client.call(Hold(), node=node)

        nursery.start_soon(ask, "head")
        nursery.start_soon(ask, "worker-1")
        await echo.has_begun()
        await far.has_begun()
        link.far.cancel("cut")
    await wait_all_tasks_blocked()

    assert len(seen.ended) == 5


async def test_what_cannot_be_asked_has_an_ended_span_too(link, seen):
    link.far.cancel("cut")
    await link.near.closed()
    with pytest.raises(CallError):
        await link.client.call(Say("hi"))
    with pytest.raises(CallError):
        async with link.client.stream(Ticks()):
            pass

    assert {span.attributes["error.type"] for span in seen.ended} == {"UNAVAILABLE"}
    assert len(seen.ended) == 2


@operation("told/ask")
class Ask(Request[None], frozen=True):
    """Note the trace."""


class Told(Service, namespace="told"):
    def __init__(self):
        self.seen = []

    @handler
    async def ask(self, _: Ask, context: Context) -> None:
        self.seen.append(context.traceparent)


async def test_what_is_not_sampled_is_not_reported_and_goes_on_unsampled(dispatcher, link, seen):
    tracing.use_opentelemetry(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    told = Told()
    async with working(dispatcher, told):
        await link.client.call(Ask(), node="worker-1")

    [traceparent] = told.seen
    assert trace.parse(traceparent)[-3:] == "-00"
    assert seen.ended == []


async def test_without_a_provider_nothing_is_made_and_a_trace_still_goes_on(seen):
    tracing.use_opentelemetry(otel.NoOpTracerProvider())
    told = Told()
    async with running(told) as dispatcher, linked(dispatcher, identity=ROOT) as link:
        for traceparent in (GIVEN, None):
            call = PendingCall(PayloadType(None), "ask")
            link.near.pending.ask("/head/told/ask", b"{}", call, traceparent=traceparent)
            await call.wait()
        await link.client.call(Ask())

    assert told.seen == [GIVEN, None, None]
    assert seen.ended == []


async def test_after_stop_no_more_spans_are_made(here, link, seen):
    tracing.stop()
    await here.call(Say("hi"))
    await link.client.call(Say("hi"))

    assert seen.ended == []


async def test_spans_can_be_exported(here, provider):
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    await here.call(Say("hi"))

    [span] = exporter.get_finished_spans()
    assert span.attributes["rpc.system"] == "alknet"
    assert (span.attributes["rpc.service"], span.attributes["rpc.method"]) == ("echo", "say")
    assert span.status.status_code is otel.StatusCode.UNSET
    assert span.instrumentation_scope.name == "alknet"
