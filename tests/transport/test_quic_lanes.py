"""Lanes of QUIC: what is on one holds up nothing else, and is heard in its own order."""

import itertools

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from alknet import open_node
from alknet.errors import Disconnected
from alknet.transport.quic.frames import Frames
from alknet.wire.limits import Limits

from ..contract.plain import FramedSocket, PlainClient
from ..contract.roads import link_over
from ..contract.test_calls import calling
from ..echo import Count, Echo, Say, Ticks
from ..people import node_settings
from .aioquic_peer import aioquic_client
from .test_quic_interop import ALICE

CALLS_AND_LANES, LANE = b"\1", b"\2"


def frame(body):
    return len(body).to_bytes(4, "big") + body


async def received(link, *frames):
    """Receive until all of *frames* are there; return the pieces."""
    pieces, wanted = [], sum(map(len, frames))
    with trio.fail_after(5):
        while sum(map(len, pieces)) < wanted:
            pieces.append(await link.receive())
            assert pieces[-1]
    return pieces


async def test_half_a_frame_on_a_lane_holds_up_no_other_frame():
    large = frame(bytes(600_000))
    async with link_over("quic") as ends:
        lane = ends.far.open_lane()
        await lane.send([large[:500_000]])
        await ends.far.send([frame(b"small")])
        assert await received(ends.near, frame(b"small")) == [frame(b"small")]
        await lane.send([large[500_000:]])
        assert b"".join(await received(ends.near, large)) == large


async def test_half_a_frame_among_the_calls_is_not_torn_by_one_on_a_lane():
    large = frame(bytes(range(250)) * 2000)
    async with link_over("quic") as ends:
        await ends.far.send([large[:400_000]])
        begun = b"".join(await received(ends.near, large[:400_000]))
        lane = ends.far.open_lane()
        await lane.send([frame(b"on the lane")])
        await wait_all_tasks_blocked(0.05)
        await ends.far.send([large[400_000:]])
        rest = b"".join(await received(ends.near, large[400_000:], frame(b"on the lane")))
        assert begun + rest == large + frame(b"on the lane")


async def test_what_was_said_on_a_lane_before_the_end_is_heard_before_the_end():
    async with link_over("quic") as ends, trio.open_nursery() as nursery:
        lane = ends.far.open_lane()
        frames = [frame(b"%d" % number) for number in range(1000)]
        await lane.send(frames)
        await lane.send_eof()
        nursery.start_soon(ends.far.aclose)
        assert b"".join(await received(ends.near, *frames)) == b"".join(frames)
        assert await ends.near.receive() == b""


async def test_a_lane_that_begins_as_no_lane_does_ends_the_link():
    async with link_over("quic") as ends:
        stream = ends.far._connection.open_one_way()
        stream.send_nowait([b"\7"])
        with pytest.raises(Disconnected, match="a stream of it begins with"):
            await ends.near.receive()
        with trio.fail_after(5), pytest.raises(Disconnected, match="not how alknet is spoken"):
            await ends.far.receive()


async def test_unfinished_frames_cost_a_bounded_amount():
    async with link_over("quic", limits=Limits(frame_bytes=10_000)) as ends:
        for _ in range(5):
            await ends.far.open_lane().send([frame(bytes(9_500))[:9_000]])
        with trio.fail_after(5), pytest.raises(Disconnected, match="bytes of unfinished frames"):
            await ends.near.receive()


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=20), max_size=10),
    cuts=st.lists(st.integers(0, 250), max_size=10),
    cut_from=st.integers(0, 10),
)
def test_frames_are_cut_only_where_they_end(bodies, cuts, cut_from):
    data = b"".join(map(frame, bodies))
    ends = {0, *itertools.accumulate(4 + len(body) for body in bodies)}
    frames, out = Frames(100, cuts=False), b""
    for number, (start, end) in enumerate(
        itertools.pairwise([0, *sorted(min(cut, len(data)) for cut in cuts), len(data)])
    ):
        frames.cuts = number >= cut_from
        part = frames.take(data[start:end])
        out += part
        assert frames.is_between == (len(out) in ends)
        if frames.cuts and part:
            assert len(out) in ends
        assert len(out) + frames.held_bytes == end
    assert out == data


# Calls and subscriptions.


async def test_items_travel_on_a_lane_and_calls_beside_it(keyring):
    settings = node_settings(listen=("quic://127.0.0.1:0",))
    async with (
        open_node(settings, keyring=keyring, services=[Echo()]) as node,
        aioquic_client(int(node.url.rpartition(":")[2])) as end,
    ):
        stream = end.open()
        await stream.send_all(CALLS_AND_LANES)
        client = PlainClient(FramedSocket(stream), as_text=False)
        await client.shake_hands(ALICE)
        await client.send("call.requested", "1", operationId="/head/echo/count", input={"to": 3})
        await client.send("call.requested", "2", operationId="/head/echo/say", input={"text": "x"})
        assert (await client.hear())["id"] == "2"

        lane = await end.opened()
        assert lane.number == 3  # the first that a server opens for itself (RFC 9000, 2.1)
        socket = FramedSocket(lane)
        first = await lane.receive_some()
        assert first[:1] == LANE
        socket._received = first[1:]
        items = PlainClient(socket, as_text=False)
        heard = [await items.hear() for _ in range(4)]
        assert [each["payload"].get("output") for each in heard] == [0, 1, 2, None]
        assert await lane.receive_some() == b""


async def test_a_thousand_subscriptions_at_once_leave_no_lane_behind():
    """There are fewer lanes than that; the rest is answered as over any other road."""
    async with calling("quic") as called:

        async def subscribe():
            async with called.client.stream(Count(20)) as items:
                assert [item async for item in items] == list(range(20))

        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for _ in range(400):
                    nursery.start_soon(subscribe)
        async with called.client.stream(Ticks(), window=5) as items:
            assert await anext(items) == 0
        assert await called.client.call(Say("next")) == "next"
        await wait_all_tasks_blocked(0.1)
        for session in (called.near, called.far):
            assert len(session.link._connection._streams) == 1
            assert not session.link._lanes


async def test_a_link_that_is_lost_fails_what_is_on_its_lanes():
    async with calling("quic") as called:
        async with trio.open_nursery() as nursery:

            async def consume():
                with pytest.raises(Disconnected):
                    async with called.client.stream(Ticks(), window=5) as items:
                        async for _ in items:
                            pass

            nursery.start_soon(consume)
            await called.echo.has_begun()
            called.far.link._connection.abort(1, "as the test wants it")
        with trio.fail_after(5):
            await called.echo.has_ended()
