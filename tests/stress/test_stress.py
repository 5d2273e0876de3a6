"""Everything at once: each call has exactly one outcome, and nothing is left behind by any.

`ALKNET_STRESS_CALLS=1000000 pytest -s tests/stress` is the long version, and says how it goes;
`ALKNET_STRESS_SEED` begins at another place.
"""

import gc
import os
import random
import sys
from collections import Counter

import psutil
import pytest
import structlog
import trio

from .callers import Caller, Tally
from .work import Record
from .world import world

CALLS = int(os.environ.get("ALKNET_STRESS_CALLS", "4000"))
SEED = int(os.environ.get("ALKNET_STRESS_SEED", "0"))
CALLERS = 1000
ROUNDS = 4
# What the second half of the rounds may add, in blocks of Python's memory: one thing kept for each
# call is at least one block. It wavers where services are restarted and links are cut.
BLOCKS_A_CALL = 0.2
WAVER = {True: 0, False: 3000}
LONGER_THAN_ANY_TIMEOUT = 60.0
# A scheduler that draws lots from a seed of its own would draw others the next time.
SCHEDULER = trio._core._run._r

CALM = {"answered"}
ROUGH = {"answered", "crashed", "disconnected", "given up", "late", "refused"}
NOW_AND_THEN = {"aborted", "no worker", "unavailable"}


@pytest.fixture(autouse=True)
def _quiet():
    """Thousands of calls that go wrong write as many lines, and nobody reads one of them."""
    structlog.configure(processors=[_drop])


def _drop(logger, name, event):
    raise structlog.DropEvent


async def call_all(here, calls, seed):
    """Have a thousand callers make *calls* calls; return their tally."""
    tally = Tally(calls)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.chaos)
        async with trio.open_nursery() as callers:
            for number in range(CALLERS):
                callers.start_soon(Caller(here, tally, f"{seed} {number}").run)
        nursery.cancel_scope.cancel()
    return tally


async def at_rest(here, tasks):
    """Return what is left over once everything that was on its way has arrived."""
    for _ in range(200):
        await trio.sleep(0.5)
        found = here.left_over()
        if here.living() != tasks:
            found.append(f"{here.living()} tasks live, and {tasks} did before")
        if not found:
            break
    return found


@pytest.mark.parametrize("is_calm", [True, False], ids=["calm", "rough"])
async def test_every_call_has_one_outcome_and_leaves_nothing_behind(is_calm, autojump_clock):
    random.seed(SEED)
    SCHEDULER.seed(SEED)
    calls = max(CALLS // ROUNDS, CALLERS)
    record = Record(calls)
    outcomes = Counter()
    blocks = []
    async with world(SEED, record, is_calm=is_calm) as here:
        tasks = here.living()
        for number in range(ROUNDS):
            record.times_begun[:] = bytes(calls)
            tally = await call_all(here, calls, f"{SEED} {number}")
            assert await at_rest(here, tasks) == []
            await trio.sleep(LONGER_THAN_ANY_TIMEOUT)
            assert not any(session.deadlines._heap for session in here.sessions())
            assert sum(tally.outcomes.values()) == calls
            assert max(record.times_begun) == 1, "a call was carried out twice"
            outcomes += tally.outcomes
            del tally
            gc.collect()
            blocks.append(sys.getallocatedblocks())
            if "ALKNET_STRESS_CALLS" in os.environ:
                report(sum(outcomes.values()), blocks[-1], outcomes)

    if is_calm:
        assert outcomes.keys() == CALM
    else:
        assert ROUGH <= outcomes.keys() <= ROUGH | NOW_AND_THEN
    half = ROUNDS // 2
    grown = blocks[-1] - blocks[half - 1]
    assert grown < BLOCKS_A_CALL * calls * half + WAVER[is_calm], blocks


def report(calls, blocks, outcomes):
    resident = psutil.Process().memory_info().rss / 2**20
    sys.stdout.write(
        f"{calls:>9,} calls  {blocks:>9,} blocks  {resident:7.1f} MiB  {dict(outcomes)}\n"
    )
