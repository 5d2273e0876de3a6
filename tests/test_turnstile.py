"""Turnstile: who uses much of the thread waits for the others, one at a time, and never for ever."""

import pytest
import trio

from alknet.turnstile import Turnstile, Usage, turnstile


@pytest.fixture
def stile():
    return Turnstile()


def used(stile, party, seconds, *, is_done=True):
    """Return the share of a link of *party* that has used the thread for *seconds* at a time."""
    share = stile.share(party)
    share.spent(seconds, is_done=is_done)
    return share


async def waits(share):
    """Return whether *share* waits for its turn."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await share.begin()
    return scope.cancelled_caught


async def test_there_is_one_for_each_loop():
    assert turnstile() is turnstile()


async def test_a_link_that_is_alone_never_waits_however_much_it_does(stile):
    share = used(stile, "busy", 100, is_done=False)

    assert await share.begin() == float("inf")


async def test_who_is_done_before_the_turn_is_over_does_not_wait_for_others(stile):
    used(stile, "busy", 0.2, is_done=False)
    share = used(stile, "modest", 0.00015)

    assert not await waits(share)
    assert await share.begin() < 0.001


@pytest.mark.parametrize(
    ("links", "use"),
    [
        (1, {"seconds": 0.00001, "is_done": False}),
        (1, {"seconds": 0.00025}),
        (50, {"seconds": 0.00005}),
    ],
    ids=["has more to say", "says much at once", "says much over many links"],
)
async def test_who_uses_much_waits_where_others_are_there(stile, links, use, monkeypatch):
    monkeypatch.setattr("alknet.turnstile.perf_counter", lambda: 1000.0)
    used(stile, "other", 0.01)
    shares = [used(stile, "busy", **use) for _ in range(links)]

    assert await waits(shares[-1])


def test_what_was_used_long_ago_does_not_count():
    usage = Usage()
    usage.add(0.5, 100.0)
    usage.add(0.5, 100.0)

    assert usage.at(100.0) == 1
    assert 0.3 < usage.at(101.0) < 0.4
    assert usage.at(120.0) < 1e-6


async def test_those_who_wait_go_one_at_a_time_and_only_when_nothing_else_is_to_be_done(stile):
    used(stile, "other", 0.01)
    shares = [used(stile, "busy", 0.01, is_done=False) for _ in range(20)]
    passes, at = 0, []

    async def turn(share):
        await share.begin()
        at.append(passes)
        share.spent(0, is_done=False)

    async def work():
        nonlocal passes
        for _ in range(50):
            passes += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        stile.rest(100)
        for share in shares:
            nursery.start_soon(turn, share)
        await work()
        stile.rest(0)

    assert at == [50] * 20


async def test_a_thread_that_is_never_idle_lets_them_go_now_and_then(stile, autojump_clock):
    used(stile, "other", 0.01)
    share = used(stile, "busy", 0.01, is_done=False)
    went = trio.Event()

    async def turn():
        for _ in range(3):
            await share.begin()
            share.spent(0.001, is_done=False)
        went.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        while not went.is_set():
            autojump_clock.jump(0.001)
            await trio.lowlevel.checkpoint()


async def test_who_has_used_least_goes_first(stile):
    shares = {name: used(stile, name, each) for name, each in [("c", 3), ("a", 1), ("b", 2)]}
    order = []

    async def turn(name):
        await shares[name].begin()
        order.append(name)

    async with trio.open_nursery() as nursery:
        for name in shares:
            nursery.start_soon(turn, name)

    assert order == ["a", "b", "c"]


async def test_who_stops_waiting_keeps_nobody_from_going(stile):
    shares = [used(stile, str(number), number + 1) for number in range(5)]
    went = []

    async def turn(number, scope):
        with scope:
            await shares[number].begin()
            went.append(number)

    async with trio.open_nursery() as nursery:
        scopes = [trio.CancelScope() for _ in shares]
        for number, scope in enumerate(scopes):
            nursery.start_soon(turn, number, scope)
        await trio.lowlevel.checkpoint()
        for number in (0, 1, 3):
            scopes[number].cancel()

    assert went == [2, 4]


async def test_newcomers_wait_for_each_other(stile):
    used(stile, "other", 1)
    order = []

    async def newcomer(number):
        for _ in range(2):
            await stile.step()
            order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(newcomer, number)

    assert sorted(order[:3]) == sorted(order[3:]) == [0, 1, 2]
