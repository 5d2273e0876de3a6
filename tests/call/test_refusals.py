"""Refusals: who asks in vain too often waits for it, and nobody else does."""

import pytest
import trio

from alknet.call.refusals import Refusals
from alknet.identity import Identity
from alknet.wire.limits import Limits

from ..echo import Echo
from ..linked import facing, running
from ..people import ALICE, ROOT


async def seconds_for(peer, requests):
    """Return how long it takes to be refused so many times, one after the other."""
    began = trio.current_time()
    for number in range(requests):
        peer.encoder.requested(str(number), "/echo/nope", b"{}")
        await peer.send()
        assert (await peer.hear()).code == "NOT_FOUND"
    return trio.current_time() - began


async def test_a_few_refusals_cost_nothing(autojump_clock):
    async with running(Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        assert await seconds_for(peer, 50) == 0
        await trio.sleep(2)
        assert await seconds_for(peer, 50) == 0


async def test_who_is_refused_all_the_time_waits_longer_and_longer(autojump_clock):
    async with running(Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        assert 0.3 < await seconds_for(peer, 1000) < 1


async def test_a_peer_that_asks_for_others_too_is_not_held_up(autojump_clock):
    """Else one caller of a head could hold up all its others."""
    head = Identity("head", ALICE.scopes | {"identity:forward"})
    async with running(Echo()) as dispatcher, facing(dispatcher, identity=head) as (_, peer):
        assert await seconds_for(peer, 1000) == 0


async def test_who_may_do_everything_is_held_up_like_anybody(autojump_clock):
    async with running(Echo()) as dispatcher, facing(dispatcher, identity=ROOT) as (_, peer):
        assert await seconds_for(peer, 1000) > 0.3


async def test_an_id_that_is_in_use_counts_too(autojump_clock):
    async with running(Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        began = trio.current_time()
        for _ in range(1000):
            peer.encoder.requested("1", "/echo/hold", b"{}")
        await peer.send()
        for _ in range(999):
            assert (await peer.hear()).code == "INVALID_INPUT"

        peer.encoder.ping("and then")
        await peer.send()
        await peer.hear()
        assert trio.current_time() - began > 0.3


async def test_calls_beyond_the_limit_count_too(autojump_clock):
    async with running(Echo()) as dispatcher:
        async with facing(dispatcher, limits=Limits(calls_in_flight=1)) as (_, peer):
            peer.encoder.requested("held", "/echo/hold", b"{}")
            began = trio.current_time()
            for number in range(1000):
                peer.encoder.requested(str(number), "/echo/say", b'{"text": "x"}')
                await peer.send()
                assert (await peer.hear()).code == "RATE_LIMITED"

            assert trio.current_time() - began > 0.3


@pytest.mark.parametrize(("times", "owed"), [(0, 0), (64, 0), (65, 1), (100, 36)])
async def test_what_is_owed_is_paid_once(times, owed, autojump_clock):
    refusals = Refusals()
    for _ in range(times):
        refusals.note()
    assert bool(refusals) is (owed > 0)
    began = trio.current_time()
    await refusals.pause()

    assert trio.current_time() - began == pytest.approx(owed * 0.0005)
    assert not refusals
