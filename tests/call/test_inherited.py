"""A call has the tighter of its caller's deadline and its own, however many calls it is below."""

from collections.abc import AsyncIterator

import pytest
import trio

from alknet import Context, Request, Service, Subscription, Upload, handler, operation

from ..linked import linked, running, working
from ..people import ROOT

WORKER = "worker-1"


@operation("leaf/left")
class Left(Request[float], frozen=True):
    """Return how many seconds are left."""


@operation("leaf/left-of-upload")
class LeftOfUpload(Upload[int, float], frozen=True):
    """The same, with items."""


class Leaf(Service, namespace="leaf"):
    @handler(concurrent=True)
    def left(self, _: Left, context: Context) -> float:
        return context.deadline - trio.current_time()

    @handler
    async def left_of_upload(
        self, _: LeftOfUpload, items: AsyncIterator[int], context: Context
    ) -> float:
        return context.deadline - trio.current_time()


class Ask(Request[float], frozen=True):
    """Return how many seconds a call is given that is asked of `node` with `timeout`."""

    node: str = "head"
    timeout: float | None = None
    by_upload: bool = False


@operation("branch/exclusive")
class Exclusive(Ask, Request[float], frozen=True):
    """One at a time."""


@operation("branch/concurrent")
class Concurrent(Ask, Request[float], frozen=True):
    """Side by side."""


@operation("branch/stream")
class Streamed(Subscription[float], frozen=True):
    """As the one item of a stream."""

    node: str = "head"
    timeout: float | None = None


@operation("branch/twig")
class Twig(Request[float], frozen=True):
    """What Exclusive returns when it is asked by a handler."""

    node: str = "head"


USED = (Left, LeftOfUpload, Exclusive)


class Branch(Service, namespace="branch"):
    async def _ask(self, request: Ask, context: Context) -> float:
        if request.by_upload:
            return await context.env.upload(LeftOfUpload(), [1], node=request.node)
        return await context.env.call(Left(), node=request.node, timeout=request.timeout)

    @handler(uses=USED)
    async def exclusive(self, request: Exclusive, context: Context) -> float:
        return await self._ask(request, context)

    @handler(concurrent=True, uses=USED)
    async def concurrent(self, request: Concurrent, context: Context) -> float:
        return await self._ask(request, context)

    @handler(uses=USED)
    async def streamed(self, request: Streamed, context: Context) -> AsyncIterator[float]:
        yield await context.env.call(Left(), node=request.node, timeout=request.timeout)

    @handler(concurrent=True, uses=USED)
    async def twig(self, request: Twig, context: Context) -> float:
        return await context.env.call(Exclusive(request.node))


@pytest.fixture(params=["near", "far"])
async def client(request):
    async with (
        running(Branch(), Leaf()) as head,
        working(head, Leaf(), name=WORKER),
        linked(head, identity=ROOT) as link,
    ):
        yield head.client(ROOT) if request.param == "near" else link.client


def about(seconds):
    return pytest.approx(seconds, abs=0.1)


ASKS = [
    kind(node, by_upload=by_upload)
    for kind in (Exclusive, Concurrent)
    for node in ("head", WORKER)
    for by_upload in (False, True)
]
ASKS += [Twig("head"), Twig(WORKER)]


@pytest.mark.parametrize("request_", ASKS, ids=str)
async def test_a_composed_call_has_the_timeout_of_its_caller(client, request_, autojump_clock):
    assert await client.call(request_, timeout=7) == about(7)


@pytest.mark.parametrize("request_", ASKS, ids=str)
async def test_a_composed_call_has_the_deadline_around_its_caller(client, request_, autojump_clock):
    with trio.fail_after(5):
        assert await client.call(request_, timeout=9) == about(5)
        assert await client.call(request_) == about(5)


@pytest.mark.parametrize("kind", [Exclusive, Concurrent])
@pytest.mark.parametrize("node", ["head", WORKER])
async def test_a_composed_call_has_its_own_timeout_if_that_is_tighter(
    client, kind, node, autojump_clock
):
    assert await client.call(kind(node, timeout=2), timeout=7) == about(2)


@pytest.mark.parametrize("node", ["head", WORKER])
async def test_what_a_stream_asks_has_the_timeout_it_was_given(client, node, autojump_clock):
    async with client.stream(Streamed(node, timeout=3)) as items:
        assert await anext(items) == about(3)


@pytest.mark.parametrize("by_upload", [False, True])
async def test_the_deadline_around_a_call_is_in_its_context(client, by_upload, autojump_clock):
    with trio.fail_after(4):
        if by_upload:
            assert await client.upload(LeftOfUpload(), []) == about(4)
            assert await client.upload(LeftOfUpload(), [], timeout=3) == about(3)
        else:
            assert await client.call(Left()) == about(4)
