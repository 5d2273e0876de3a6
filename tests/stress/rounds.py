"""Rounds of everything at once, with a look at what is left over after each."""

import gc
import random
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import structlog
import trio

from .callers import Caller, Tally
from .work import Record
from .world import world

CALLERS = 1000
ROUNDS = 4
# What the second half of the rounds may add, in blocks of Python's memory: one thing kept for each
# call is at least one block. It wavers with how the links take turns, which real time decides, and
# more where services are restarted and links are cut.
BLOCKS_A_CALL = 0.2
WAVER = {True: 500, False: 3000}
LONGER_THAN_ANY_TIMEOUT = 60.0
# A scheduler that draws lots from a seed of its own would draw others the next time.
SCHEDULER = trio._core._run._r

CALM = {"answered"}
ROUGH = {"answered", "crashed", "disconnected", "given up", "late", "refused"}
NOW_AND_THEN = {"aborted", "no worker", "unavailable"}


@dataclass(frozen=True)
class Round:
    """What there is after a round: outcomes by their word, Python's memory, and this process's."""

    outcomes: Counter
    blocks: int
    resident: int
    tasks: int


@contextmanager
def quiet():
    """Log nothing: thousands of calls that go wrong write as many lines that nobody reads."""
    structlog.configure(processors=[drop])
    try:
        yield
    finally:
        structlog.reset_defaults()


def drop(logger, name, event):
    """Log nothing of this."""
    raise structlog.DropEvent


async def wear_out(calls, seed, *, is_calm, tell=lambda _: None):
    """Have a thousand callers make *calls* calls, in rounds; tell of each round when it is over.

    Runs on a clock that jumps. It is a failure (AssertionError, or the callers' own Surprise) if a
    call has no outcome or one that nothing explains, if one is carried out twice, if the two ends
    of a link break the rules, if a task, a call or a deadline is left when nothing moves any more,
    or if memory grows with the calls.
    """
    random.seed(seed)
    SCHEDULER.seed(seed)
    each = max(calls // ROUNDS, CALLERS)
    record = Record(each)
    rounds = []
    async with world(seed, record, is_calm=is_calm) as here:
        tasks = here.living()
        for number in range(ROUNDS):
            record.times_begun[:] = bytes(each)
            outcomes = await _call_all(here, each, f"{seed} {number}")
            assert await _at_rest(here, tasks) == []
            await trio.sleep(LONGER_THAN_ANY_TIMEOUT)
            assert not any(session.deadlines._heap for session in here.sessions())
            assert sum(outcomes.values()) == each
            assert max(record.times_begun) == 1, "a call was carried out twice"
            gc.collect()
            resident = psutil.Process().memory_info().rss
            rounds.append(Round(outcomes, sys.getallocatedblocks(), resident, here.living()))
            tell(rounds[-1])
    _judge(rounds, each, is_calm=is_calm)


async def _call_all(here, calls, seed):
    tally = Tally(calls)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.chaos)
        async with trio.open_nursery() as callers:
            for number in range(CALLERS):
                callers.start_soon(Caller(here, tally, f"{seed} {number}").run)
        nursery.cancel_scope.cancel()
    return tally.outcomes


async def _at_rest(here, tasks):
    """Return what is left over once everything that was on its way has arrived."""
    for _ in range(200):
        await trio.sleep(0.5)
        found = here.left_over()
        if here.living() != tasks:
            found.append(f"{here.living()} tasks live, and {tasks} did before")
        if not found:
            break
    return found


def _judge(rounds, each, *, is_calm):
    words = set().union(*(round_.outcomes for round_ in rounds))
    if is_calm:
        assert words == CALM
    else:
        assert ROUGH <= words <= ROUGH | NOW_AND_THEN
    half = ROUNDS // 2
    blocks = [round_.blocks for round_ in rounds]
    assert blocks[-1] - blocks[half - 1] < BLOCKS_A_CALL * each * half + WAVER[is_calm], blocks
