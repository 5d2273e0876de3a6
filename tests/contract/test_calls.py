"""What calls do over every road: the same as over any other."""

from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.errors import Disconnected, LocalProtocolError, NotFound
from alknet.wire.limits import Limits

from ..echo import Count, Echo, Fail, Hold, Say, Ticks
from ..linked import running
from ..people import ALICE
from .roads import ROADS, link_over


class Called:
    def __init__(self, near, far, echo, share):
        self.near = near
        self.far = far
        self.echo = echo
        self.share = share
        self.client = RemoteClient(near)


@asynccontextmanager
async def calling(road, *, format="json", limits=None):
    echo, limits = Echo(), limits or Limits()
    async with (
        running(echo) as dispatcher,
        link_over(road, format=format, limits=limits) as ends,
        trio.open_nursery() as nursery,
    ):
        near = Session(ends.near, identity=None, is_dialled=True, limits=limits)
        far = Session(ends.far, identity=ALICE, dispatcher=dispatcher, limits=limits)
        await nursery.start(far.run)
        await nursery.start(near.run)
        yield Called(near, far, echo, ends.share)
        nursery.cancel_scope.cancel()


@pytest.fixture(params=ROADS)
def road(request):
    return request.param


@pytest.fixture(params=["json", "msgpack"])
async def called(road, request):
    async with calling(road, format=request.param) as called:
        yield called


async def test_a_thousand_calls_at_once_each_get_their_own_answer(called):
    answers = {}

    async def ask(number):
        answers[number] = await called.client.call(Say(str(number)))

    async with trio.open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(ask, number)

    assert answers == {number: str(number) for number in range(1000)}


async def test_errors_come_back(called):
    with pytest.raises(NotFound, match="there is no such thing") as caught:
        await called.client.call(Fail())
    assert caught.value.details == {"thing": 7}


@pytest.mark.parametrize("window", [1, 64])
async def test_streams_come_through_in_order(called, window):
    async with called.client.stream(Count(300), window=window) as items:
        assert [item async for item in items] == list(range(300))


async def test_a_large_answer_and_a_small_one_share_the_link(called):
    large = "x" * (2_000_000 // called.share)
    async with trio.open_nursery() as nursery:

        async def ask():
            assert await called.client.call(Say(large)) == large

        nursery.start_soon(ask)
        assert await called.client.call(Say("small")) == "small"


async def test_a_subscription_that_nobody_reads_does_not_hold_up_a_call(called):
    async with called.client.stream(Ticks(), window=1000) as items:
        assert await anext(items) == 0
        # What its window allows has come, and more there will not be.
        await wait_all_tasks_blocked(0.01)
        for number in range(20):
            with trio.fail_after(5):
                assert await called.client.call(Say(str(number))) == str(number)


async def test_a_caller_who_leaves_cancels_the_handler(called):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(called.client.call, Hold())
        await called.echo.has_begun()
        nursery.cancel_scope.cancel()
    with trio.fail_after(5):
        await called.echo.has_ended()

    assert await called.client.call(Say("next")) == "next"


async def test_a_consumer_who_leaves_stops_the_producer(called):
    async with called.client.stream(Ticks()) as items:
        assert await anext(items) == 0
    with trio.fail_after(5):
        await called.echo.has_ended()

    assert await called.client.call(Say("next")) == "next"


@pytest.mark.parametrize("side", ["near", "far"])
async def test_an_end_that_closes_fails_what_was_asked_and_cancels_what_was_answered(called, side):
    async with trio.open_nursery() as nursery:

        async def hold():
            with pytest.raises(Disconnected):
                await called.client.call(Hold())

        nursery.start_soon(hold)
        await called.echo.has_begun()
        getattr(called, side).cancel("the test says so")
        with trio.fail_after(5):
            await called.near.closed()
            await called.far.closed()
    await wait_all_tasks_blocked()

    assert called.echo.active == 0


async def test_a_request_above_the_limit_never_leaves_and_the_link_lives(road):
    async with calling(road, limits=Limits(frame_bytes=10_000)) as called:
        with pytest.raises(LocalProtocolError, match="the limit is 10000"):
            await called.client.call(Say("x" * 10_000))
        assert await called.client.call(Say("x" * 9_000)) == "x" * 9_000


async def test_an_envelope_above_the_limit_ends_the_link_of_whoever_sends_it(road):
    async with calling(road, limits=Limits(frame_bytes=10_000)) as called:
        raw = b'{"type": "call.requested", "id": "1", "payload": {"operationId": "/echo/say", '
        raw += b'"input": {"text": "%s"}}}' % (b"x" * 10_000)
        framed = len(raw).to_bytes(4, "big") + raw if called.near.link.framed else raw
        with trio.move_on_after(5):
            await called.near.link.send([framed])
            await called.near.closed()

        assert called.near.is_closed
        assert called.far.is_closed
