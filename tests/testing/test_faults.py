"""Faulty links: what they do, they do where they were told, and what arrives is whole."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from alknet.errors import Disconnected, Unreachable
from alknet.testing import (
    DelayedLink,
    Fault,
    Faults,
    FaultyLink,
    FaultyRoad,
    connected,
    memory_pair,
    node,
    road_to,
)

from .. import orphans
from ..echo import Echo, Say


def frame(body):
    return len(body).to_bytes(4, "big") + body


async def everything(link):
    """Return what arrives, and how it ended: `closed`, `cut`, or `silent`."""
    got = []
    with trio.move_on_after(5):
        try:
            while data := await link.receive():
                got.append(data)
        except Disconnected:
            return got, "cut"
        return got, "closed"
    return got, "silent"


async def pushed(link, chunks):
    """Send *chunks* one by one and close; return whether the sender noticed anything."""
    try:
        for chunk in chunks:
            await link.send([chunk])
    except Disconnected:
        return "cut"
    await link.aclose()
    return "closed"


MESSAGES = [b"one", b"two", b"three", b"four"]


@pytest.mark.parametrize(
    ("fault", "arrived", "end"),
    [
        (Fault(), MESSAGES, "closed"),
        (Fault(after_messages=0), [], "cut"),
        (Fault(after_messages=2), MESSAGES[:2], "cut"),
        (Fault(after_messages=9), MESSAGES, "closed"),
        (Fault(after_bytes=6), MESSAGES[:2], "cut"),
        (Fault(after_bytes=8), MESSAGES[:2], "cut"),
        (Fault(after_messages=3, after_bytes=4), MESSAGES[:1], "cut"),
        (Fault(after_messages=2, then="silent"), MESSAGES[:2], "silent"),
    ],
    ids=str,
)
@pytest.mark.parametrize("direction", ["sending", "receiving"])
async def test_a_link_of_messages_ends_where_it_was_told(
    fault, arrived, end, direction, autojump_clock
):
    near, far = memory_pair()
    link = FaultyLink(near, **{direction: fault})
    sender, reader = (link, far) if direction == "sending" else (far, link)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pushed, sender, MESSAGES)
        got, how = await everything(reader)

        assert got == arrived
        # A silent link hides even that its far end closes it; a sender that is not heard may close.
        assert how == end or (end, direction) == ("silent", "sending")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        (Fault(after_bytes=9), frame(b"one") + b"\0\0"),
        (Fault(after_bytes=13), frame(b"one") + frame(b"two")[:6]),
        (Fault(after_messages=1), frame(b"one")),
        (Fault(after_messages=3), b"".join(map(frame, MESSAGES[:3]))),
    ],
    ids=["in a length", "in a frame", "after one", "after three"],
)
@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("direction", ["sending", "receiving"])
async def test_a_link_of_frames_is_reset_in_the_middle_of_one(fault, arrived, in_pieces, direction):
    near, far = memory_pair(framed=True)
    link = FaultyLink(near, **{direction: Fault(**_fields(fault), in_pieces=in_pieces)})
    sender, reader = (link, far) if direction == "sending" else (far, link)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pushed, sender, [b"".join(map(frame, MESSAGES))])
        got, how = await everything(reader)

    assert b"".join(got) == arrived
    assert how == "cut"


def _fields(fault):
    return {"after_bytes": fault.after_bytes, "after_messages": fault.after_messages}


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=300), max_size=20),
    seed=st.integers(),
    mark=st.integers(0, 2000),
)
def test_however_a_stream_is_cut_in_pieces_its_bytes_are_the_same(bodies, seed, mark):
    data = b"".join(map(frame, bodies))
    pieces = []

    async def main():
        near, far = memory_pair(framed=True, capacity=10_000)
        fault = Fault(in_pieces=True, after_bytes=mark)
        await pushed(FaultyLink(near, sending=fault, seed=seed), [data])
        got, how = await everything(far)
        assert b"".join(got) == data[:mark]
        assert how == ("cut" if len(data) >= mark else "closed")
        pieces.append(got)

    orphans.run(main)
    orphans.run(main)
    assert pieces[0] == pieces[1]


async def test_a_cut_ends_what_waits_at_both_ends():
    near, far = memory_pair()
    link = FaultyLink(near)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_is_cut, link.receive)
        nursery.start_soon(_is_cut, far.receive)
        await wait_all_tasks_blocked()
        link.cut()
    for operation in (link.receive, far.receive):
        await _is_cut(operation)
    await _is_cut(lambda: link.send([b"x"]))
    await _is_cut(lambda: far.send([b"x"]))


async def _is_cut(operation):
    with trio.fail_after(1), pytest.raises(Disconnected, match="cut"):
        await operation()


async def test_what_has_left_before_a_cut_still_arrives():
    near, far = memory_pair()
    link = FaultyLink(near)
    await link.send([b"last words"])
    link.cut()

    assert await everything(far) == ([b"last words"], "cut")


async def test_silence_swallows_what_is_sent_and_waits_for_what_would_come(autojump_clock):
    near, far = memory_pair()
    link = FaultyLink(near)
    link.silence()
    await link.send([b"unheard"])
    await far.send([b"unheard"])

    assert await everything(far) == ([], "silent")
    assert await everything(link) == ([], "silent")


async def test_a_slow_reader_makes_its_peer_wait(autojump_clock):
    near, far = memory_pair(capacity=1)
    link = FaultyLink(near, receiving=Fault(pause=2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pushed, far, [b"x"] * 10)
        got, _ = await everything_of(link, within=100)

    assert len(got) == 10
    assert trio.current_time() == pytest.approx(20, abs=2)


async def everything_of(link, within):
    got = []
    with trio.move_on_after(within):
        while data := await link.receive():
            got.append((round(trio.current_time(), 3), data))
    return got, None


async def test_a_delay_lets_all_be_on_their_way_together_and_in_order(autojump_clock):
    near, far = memory_pair()
    async with trio.open_nursery() as nursery:
        link = DelayedLink(near, nursery, delay=3)
        for chunk in MESSAGES:
            await link.send([chunk])
            await far.send([chunk])
        assert (await everything_of(link, 10))[0] == [(3, chunk) for chunk in MESSAGES]
        assert [chunk for _, chunk in (await everything_of(far, 10))[0]] == MESSAGES
        nursery.cancel_scope.cancel()


async def test_a_delay_that_varies_keeps_each_link_in_order_and_mixes_them(autojump_clock):
    numbers = list(range(50))
    arrived = []

    async def read(name, far):
        for _ in numbers:
            arrived.append((name, int(await far.receive())))

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as readers:
            links = []
            for name in "ab":
                near, far = memory_pair()
                links.append(DelayedLink(near, nursery, delay=0.1, jitter=1, seed=name))
                readers.start_soon(read, name, far)
            for number in numbers:
                for link in links:
                    await link.send([b"%d" % number])
                await trio.sleep(0.3)
        nursery.cancel_scope.cancel()
    for name in "ab":
        assert [number for who, number in arrived if who == name] == numbers
    assert [number for _, number in arrived] != sorted(number for _, number in arrived)


async def test_a_delayed_link_that_closes_in_good_order_delivers_what_it_took(autojump_clock):
    near, far = memory_pair()
    async with trio.open_nursery() as nursery:
        link = DelayedLink(near, nursery, delay=3)
        await link.send(MESSAGES)
        await link.aclose()
        assert await everything(far) == (MESSAGES, "closed")
        nursery.cancel_scope.cancel()


async def test_a_road_gives_each_link_the_faults_of_its_number(autojump_clock):
    async with node([Echo()]) as here:
        road = FaultyRoad(
            road_to(here), lambda number: Faults(receiving=Fault(after_messages=3 + number))
        )
        async with connected(here, dial=road.dial, reconnect=True) as client:
            for calls in (1, 2, 3):
                for _ in range(calls):
                    assert await client.call(Say("hi")) == "hi"
                await wait_all_tasks_blocked()
                assert client.session.is_closed
                assert road.links == []
        assert road.attempts == road.opened == 3


async def test_a_blocked_road_lets_nobody_through(autojump_clock):
    async with node([Echo()]) as here:
        road = FaultyRoad(road_to(here))
        road.block()
        with pytest.raises(Unreachable, match="blocked"):
            async with connected(here, dial=road.dial):
                pass
        road.unblock()
        async with connected(here, dial=road.dial) as client:
            assert await client.call(Say("hi")) == "hi"
            assert len(road.links) == 1
