"""Context: by what a call is known in the log, from wherever it is asked for."""

from typing import Any

import pytest
import structlog
import trio

from alknet import Context, Request, Service, handler, operation
from alknet.call import trace
from alknet.call.payload import PayloadType
from alknet.call.pending import PendingCall
from alknet.call.trace import Span, parse
from alknet.errors import Internal, NotFound

from ..linked import linked, running, working
from ..people import ROOT

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@operation("known/as")
class As(Request[str], frozen=True):
    """Return the request id, or crash."""

    crash: bool = False


@operation("known/inline")
class Inline(Request[str], frozen=True):
    """The same, in the caller's task."""

    crash: bool = False


@operation("known/missing")
class Missing(Request[None], frozen=True):
    """Raise NotFound, without a look at the context."""


@operation("known/outer")
class Outer(Request[None], frozen=True):
    """Ask `As` of `node` to crash."""

    node: str = "head"


class Known(Service, namespace="known"):
    def __init__(self):
        self.ids = []

    @handler
    async def as_(self, request: As, context: Context) -> str:
        self.ids.append(context.request_id)
        return context.request_id if not request.crash else 1 / 0

    @handler(concurrent=True)
    def inline(self, request: Inline, context: Context) -> str:
        self.ids.append(context.request_id)
        return context.request_id if not request.crash else 1 / 0

    @handler
    async def missing(self, _: Missing) -> None:
        raise NotFound("it is not there")

    @handler(concurrent=True, uses=(As,))
    async def outer(self, request: Outer, context: Context) -> None:
        self.ids.append(context.request_id)
        await context.env.call(As(crash=True), node=request.node)


@pytest.fixture(autouse=True)
def _nothing_live(monkeypatch):
    monkeypatch.setattr(trace, "is_live", False)


@pytest.fixture
def known():
    return Known()


@pytest.fixture
async def dispatcher(known):
    async with running(known) as dispatcher:
        yield dispatcher


@pytest.fixture
async def link(dispatcher):
    async with linked(dispatcher, identity=ROOT, format="msgpack") as link:
        yield link


def facts(line):
    return {key: line[key] for key in ("operation", "request_id", "parent_id", "peer", "trace")}


async def crash_of(call):
    """Await *call*, which crashes; return the line that is logged."""
    with structlog.testing.capture_logs() as lines, pytest.raises(Internal):
        await call
    [line] = [line for line in lines if line["event"] == "handler failed"]
    return line


@pytest.mark.parametrize("request_", [As(crash=True), Inline(crash=True)])
async def test_a_crash_is_logged_under_the_id_that_the_handler_knew(dispatcher, known, request_):
    line = await crash_of(dispatcher.client(ROOT).call(request_))

    name = request_.__operation__.name
    assert facts(line) == {
        "operation": name,
        "request_id": known.ids[0],
        "parent_id": None,
        "peer": None,
        "trace": None,
    }


async def test_a_call_over_a_link_is_known_by_its_peer_and_the_callers_id(link):
    with Span(parse(f"00-{TRACE}-00f067aa0ba902b7-01")).active():
        line = await crash_of(link.client.call(As(crash=True)))

    assert facts(line) == {
        "operation": "known/as",
        "request_id": "1",
        "parent_id": None,
        "peer": "root",
        "trace": TRACE,
    }


@pytest.mark.parametrize("node", ["head", "worker-1"])
async def test_a_composed_call_is_known_by_its_parent_too(dispatcher, link, known, node):
    async with working(dispatcher, Known()):
        with Span(parse(f"00-{TRACE}-00f067aa0ba902b7-01")).active():
            line = await crash_of(link.client.call(Outer(node)))

    assert line["parent_id"] == known.ids[0] == "1"
    assert line["trace"] == TRACE
    assert line["peer"] == (None if node == "head" else "head")


async def test_calls_within_the_process_have_ids_of_their_own(dispatcher):
    client = dispatcher.client(ROOT)
    ids = [await client.call(request) for request in (As(), As(), Inline(), Inline())]

    assert len(set(ids)) == 4


@pytest.mark.parametrize("name", ["missing", "as", "inline"])
async def test_metadata_that_cannot_be_read_cost_the_call_and_not_the_service(link, known, name):
    """A map as the key of a map: msgpack has it, Python does not."""
    call = PendingCall(PayloadType(None), name)
    link.near.pending.ask(f"/head/known/{name}", b"\x80", call, metadata=b"\x81\x80\x01")
    with pytest.raises((NotFound, ValueError)):
        await call.wait()

    with trio.fail_after(1):
        assert await link.client.call(As()) == "2"


# Metadata.


@operation("meta/look")
class Look(Request[dict[str, Any] | None], frozen=True):
    """Return the metadata of the call."""


@operation("meta/both")
class Both(Request[list[dict[str, Any] | None]], frozen=True):
    """Return one's own, and those of a call of `Look` that is made without and with any."""

    node: str = "head"


class Meta(Service, namespace="meta"):
    @handler(concurrent=True)
    def look(self, _: Look, context: Context) -> dict[str, Any] | None:
        return context.metadata

    @handler(concurrent=True, uses=(Look,))
    async def both(self, request: Both, context: Context) -> list[dict[str, Any] | None]:
        own = context.env.with_metadata({"own": True})
        continuing = context.continuing.with_metadata({"on": True})
        return [
            context.metadata,
            await context.env.call(Look(), node=request.node),
            await own.call(Look(), node=request.node),
            await continuing.call(Look(), node=request.node),
        ]


@pytest.mark.parametrize("node", ["head", "worker-1"])
@pytest.mark.parametrize("is_near", [True, False])
async def test_metadata_are_the_calls_own_and_no_others(is_near, node):
    async with (
        running(Meta()) as home,
        linked(home, identity=ROOT) as link,
        working(home, Meta()),
    ):
        client = home.client(ROOT) if is_near else link.client
        told = client.with_metadata({"a": [1, "x"]})

        assert await told.call(Look(), node=node) == {"a": [1, "x"]}
        assert await told.with_metadata({}).call(Look()) == {}
        assert await client.call(Look(), node=node) is None
        assert await told.call(Both(node)) == [{"a": [1, "x"]}, None, {"own": True}, {"on": True}]
