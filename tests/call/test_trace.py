"""Trace context: it goes wherever a call goes, and one that is malformed counts as none."""

from collections.abc import AsyncIterator

import pytest
import trio

from alknet import Context, Duplex, Request, Service, Subscription, Upload, handler, operation
from alknet.call import trace
from alknet.call.payload import PayloadType
from alknet.call.pending import PendingCall
from alknet.call.trace import Span, child_of, parse, trace_id

from ..linked import linked, running, working
from ..people import ROOT

# The example of the standard, 3.2.2.
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture(autouse=True)
def _nothing_live(monkeypatch):
    """Begin as a process that has seen no trace yet."""
    monkeypatch.setattr(trace, "is_live", False)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (GIVEN, GIVEN),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-ff"),
        (None, None),
        ("", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN.upper()}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE[:-1]}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}-1", None),
        (f"00-{TRACE}-{SPAN}-0g", None),
        (f"00-{TRACE}-{SPAN}-01-", None),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f" {GIVEN}", None),
        (f"{GIVEN}\n", None),
        (f"00_{TRACE}_{SPAN}_01", None),
        (f"0-{TRACE}-{SPAN}-01", None),
        (f"00-{'٤' * 32}-{SPAN}-01", None),
        # Of a later version what we know of is read, and written as ours.
        (f"01-{TRACE}-{SPAN}-01", GIVEN),
        (f"cc-{TRACE}-{SPAN}-03-what-comes-later", GIVEN),
        (f"cc-{TRACE}-{SPAN}-00-", f"00-{TRACE}-{SPAN}-00"),
        (f"cc-{TRACE}-{SPAN}-01.later", None),
        (f"cc-{TRACE}-{SPAN}", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
    ],
)
def test_a_traceparent_is_read_strictly(text, read):
    assert parse(text) == read


@pytest.mark.parametrize(
    ("flags", "kept"), [("00", "00"), ("01", "01"), ("ff", "01"), ("fe", "00")]
)
def test_a_child_keeps_the_trace_and_whether_it_is_sampled(flags, kept):
    parent = parse(f"00-{TRACE}-{SPAN}-{flags}")
    children = {child_of(parent) for _ in range(100)}

    assert len(children) == 100
    assert GIVEN not in children
    assert all(parse(child) == child for child in children)
    assert {child[53:] for child in children} == {kept}
    assert {trace_id(child) for child in children} == {TRACE}


# Calls.


@operation("path/alone")
class Alone(Request[None], frozen=True):
    """Note the trace, one call at a time."""


@operation("path/plain")
class Plain(Request[None], frozen=True):
    """Note the trace, in a handler that is no coroutine."""


@operation("path/beside")
class Beside(Request[None], frozen=True):
    """Note the trace, beside other calls."""


@operation("path/walk")
class Walk(Subscription[int], frozen=True):
    """Note the trace before each of two items."""


@operation("path/load")
class Load(Upload[int, None], frozen=True):
    """Note the trace when the items have come."""


@operation("path/talk")
class Talk(Duplex[int, int], frozen=True):
    """Note the trace when the first item has come."""


@operation("path/compose")
class Compose(Request[None], frozen=True):
    """Have `Alone`, `Beside` and `Walk` answered by `node`, for the caller."""

    node: str = "head"


@operation("path/spread")
class Spread(Request[None], frozen=True):
    """Have `Alone` answered, over a client that knows nothing of this call, from a new task."""


SHAPES = [Alone(), Plain(), Beside(), Walk(), Load(), Talk()]


class Path(Service, namespace="path"):
    """Notes (operation, traceparent, parent id) of its calls; `other` is what `Spread` asks."""

    def __init__(self):
        self.seen = []
        self.other = None

    def note(self, context):
        self.seen.append((context.spec.name, context.traceparent, context.parent_id))

    @handler
    async def alone(self, _: Alone, context: Context) -> None:
        self.note(context)

    @handler
    def plain(self, _: Plain, context: Context) -> None:
        self.note(context)

    @handler(concurrent=True)
    async def beside(self, _: Beside, context: Context) -> None:
        await trio.lowlevel.checkpoint()
        self.note(context)

    @handler
    async def walk(self, _: Walk, context: Context) -> AsyncIterator[int]:
        for number in range(2):
            self.note(context)
            yield number

    @handler
    async def load(self, _: Load, items: AsyncIterator[int], context: Context) -> None:
        async for _item in items:
            pass
        self.note(context)

    @handler
    async def talk(
        self, _: Talk, items: AsyncIterator[int], context: Context
    ) -> AsyncIterator[int]:
        async for item in items:
            self.note(context)
            yield item

    @handler(concurrent=True, uses=(Alone, Beside, Walk))
    async def compose(self, request: Compose, context: Context) -> None:
        self.note(context)
        for each in (Alone(), Beside()):
            await context.env.call(each, node=request.node)
        async with context.env.stream(Walk(), node=request.node) as items:
            async for _ in items:
                pass

    @handler(concurrent=True)
    async def spread(self, _: Spread) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.other.call, Alone())


@pytest.fixture
def path():
    return Path()


@pytest.fixture
async def dispatcher(path):
    async with running(path) as dispatcher:
        yield dispatcher


@pytest.fixture(params=["json", "msgpack"])
async def link(request, dispatcher):
    async with linked(dispatcher, identity=ROOT, format=request.param) as link:
        yield link


@pytest.fixture(params=["here", "there"])
def client(request, dispatcher, link):
    return dispatcher.client(ROOT) if request.param == "here" else link.client


async def ask(client, request, **where):
    """Ask *request*, whatever its shape."""
    if isinstance(request, Upload):
        await client.upload(request, [1, 2], **where)
    elif isinstance(request, Duplex):
        async with client.duplex(request, **where) as items:
            await items.send(1)
            assert await anext(items) == 1
    elif isinstance(request, Subscription):
        async with client.stream(request, **where) as items:
            assert [item async for item in items] == [0, 1]
    else:
        await client.call(request, **where)


def named(request):
    return type(request).__name__


@pytest.mark.parametrize("request_", SHAPES, ids=named)
async def test_a_call_without_a_trace_gets_none(client, path, request_):
    await ask(client, request_)

    assert {traceparent for _, traceparent, _ in path.seen} == {None}
    assert not trace.is_live


@pytest.mark.parametrize("request_", SHAPES, ids=named)
async def test_what_is_asked_within_a_call_is_a_child_of_it(client, path, request_):
    with Span(parse(GIVEN)).active():
        await ask(client, request_)

    [traceparent] = {traceparent for _, traceparent, _ in path.seen}
    assert parse(traceparent) == traceparent
    assert trace_id(traceparent) == TRACE
    assert traceparent != GIVEN


async def asked_with(session, operation, traceparent):
    call = PendingCall(PayloadType(None), operation)
    session.pending.ask(operation, b"{}", call, input_format="json", traceparent=traceparent)
    await call.wait()


@pytest.mark.parametrize("name", ["alone", "plain", "beside"])
async def test_the_handler_is_told_the_trace_that_came_with_its_call(link, path, name):
    await asked_with(link.near, f"/head/path/{name}", GIVEN)

    assert path.seen == [(f"path/{name}", GIVEN, None)]


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{'0' * 32}-{SPAN}-01", "\x00" * 55])
async def test_a_malformed_trace_is_none_and_no_error(link, path, traceparent):
    await asked_with(link.near, "/head/path/alone", traceparent)

    assert path.seen == [("path/alone", None, None)]
    assert not trace.is_live


async def test_what_a_handler_composes_goes_on_under_the_same_trace(client, path):
    with Span(parse(GIVEN)).active():
        await client.call(Compose())

    (_, outer, _), *inner = path.seen
    assert {name for name, _, _ in inner} == {"path/alone", "path/beside", "path/walk"}
    traceparents = {traceparent for _, traceparent, _ in inner}
    assert len(traceparents) == 3
    assert outer not in traceparents
    assert {trace_id(traceparent) for traceparent in (outer, *traceparents)} == {TRACE}


async def test_what_a_handler_asks_of_a_worker_goes_on_too(dispatcher, client, path):
    far = Path()
    async with working(dispatcher, far):
        with Span(parse(GIVEN)).active():
            await client.call(Compose(node="worker-1"))

    [(_, outer, _)] = path.seen
    assert {name for name, _, _ in far.seen} == {"path/alone", "path/beside", "path/walk"}
    assert {trace_id(traceparent) for _, traceparent, _ in far.seen} == {TRACE}
    assert outer not in {traceparent for _, traceparent, _ in far.seen}


async def test_a_composed_call_names_its_parent_here_and_at_a_worker(dispatcher, link, path):
    far = Path()
    async with working(dispatcher, far):
        await link.client.call(Compose())
        await link.client.call(Compose(node="worker-1"))

    parents = {parent for _, _, parent in (*path.seen, *far.seen)}
    assert parents == {None, "1", "2"}


@pytest.mark.parametrize("shape", ["there", "here"])
async def test_a_task_that_a_handler_starts_belongs_to_the_trace(dispatcher, link, path, shape):
    path.other = link.client if shape == "there" else dispatcher.client(ROOT)
    await asked_with(link.near, "/head/path/spread", GIVEN)

    [(_, traceparent, _)] = path.seen
    assert trace_id(traceparent) == TRACE
    assert traceparent != GIVEN


async def test_a_trace_ends_with_its_call(link, client, path):
    for name in ("alone", "plain", "beside"):
        await asked_with(link.near, f"/head/path/{name}", GIVEN)
    path.seen.clear()
    for request in SHAPES:
        await ask(client, request)

    assert {traceparent for _, traceparent, _ in path.seen} == {None}


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [(GIVEN, GIVEN), (f"cc-{TRACE}-{SPAN}-01-later", GIVEN), ("nonsense", None), (None, None)],
)
async def test_a_relay_passes_the_trace_on_unchanged(dispatcher, link, sent, arrives):
    far = Path()
    async with working(dispatcher, far):
        await asked_with(link.near, "/worker-1/path/alone", sent)

    assert far.seen == [("path/alone", arrives, None)]
