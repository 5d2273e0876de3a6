"""How a row is declared and timed.

A row compares ours with a peer at the same work. It is a function in `benches/<subject>.py`, found
by its decorator; the peer is imported inside the function, so that a package which is not installed
costs one row and not the run::

    @row("envelope_decode", peer="msgspec Struct", goal=1.2)
    def envelope_decode() -> Pair:
        import msgspec
        ...
        return Pair(ours=ours, peer=peer, divisor=100, same=lambda: ours_value == peer_value)

    @measured_row("remote_call_64", peer="rpyc", goal=3)
    def remote_call_64(pace: Pace) -> Measured:
        ...                                # runs whatever it needs: a nursery, subprocesses
        return Measured(ours_us=6.1, peer_us=31.0)

Method for a `Pair`: rounds alternate between the two sides in one process, each side gets one slot
in each round, the garbage collector runs between slots and never inside one, and the median round
counts. So a slow minute of the machine falls on both. Figures are microseconds for one operation.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from time import perf_counter_ns


@dataclass(frozen=True)
class Pace:
    """How long to measure: so many rounds, and so many seconds for one side in one round."""

    rounds: int
    slot: float


FULL = Pace(rounds=7, slot=0.07)
QUICK = Pace(rounds=3, slot=0.004)


@dataclass(frozen=True)
class Pair:
    """Two callables that do the same work.

    One call is `divisor` operations: a loop inside keeps the cost of the call out of a figure that
    is small itself. `same`, if given, is asked once before timing and must answer true. `peer_name`
    replaces the declared name where a row chooses its peer when it runs.
    """

    ours: Callable[[], object]
    peer: Callable[[], object]
    divisor: int = 1
    same: Callable[[], bool] | None = None
    peer_name: str | None = None


@dataclass(frozen=True)
class Measured:
    """Figures of a row that measures itself, in microseconds for one operation."""

    ours_us: float
    peer_us: float
    peer_name: str | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table. `goal` is the least ratio, the peer's time by ours, that we accept."""

    name: str
    peer: str
    goal: float
    run: Callable[[Pace], Measured]


ROWS: list[Row] = []


class NotTheSameError(Exception):
    """The two sides of a row do not do the same work, so there is nothing to compare."""


def row(name: str, *, peer: str, goal: float) -> Callable[[Callable[[], Pair]], Callable[[], Pair]]:
    """Declare a row that the harness times; the function is called once, when the row is run."""

    def declare(prepare: Callable[[], Pair]) -> Callable[[], Pair]:
        ROWS.append(Row(name, peer, goal, lambda pace: _interleave(name, prepare(), pace)))
        return prepare

    return declare


def measured_row(
    name: str, *, peer: str, goal: float
) -> Callable[[Callable[[Pace], Measured]], Callable[[Pace], Measured]]:
    """Declare a row that measures itself and returns its figures."""

    def declare(run: Callable[[Pace], Measured]) -> Callable[[Pace], Measured]:
        ROWS.append(Row(name, peer, goal, run))
        return run

    return declare


def _interleave(name: str, pair: Pair, pace: Pace) -> Measured:
    if pair.same is not None and not pair.same():
        raise NotTheSameError(f"{name}: ours and the peer do not give the same result")
    ours_calls = _calls_in(pair.ours, pace.slot)
    peer_calls = _calls_in(pair.peer, pace.slot)
    ours, peer = [], []
    for _ in range(pace.rounds):
        ours.append(_time(pair.ours, ours_calls))
        peer.append(_time(pair.peer, peer_calls))
    return Measured(median(ours) / pair.divisor, median(peer) / pair.divisor, pair.peer_name)


def _calls_in(function: Callable[[], object], seconds: float) -> int:
    """How many calls fill a slot; also the warm-up."""
    calls = 1
    while True:
        spent = _time(function, calls) * calls / 1e6
        if spent >= seconds / 4:
            return max(1, round(calls * seconds / spent))
        calls *= 4


def _time(function: Callable[[], object], calls: int) -> float:
    """Microseconds of one call, over *calls* of them."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        start = perf_counter_ns()
        for _ in repeat(None, calls):
            function()
        return (perf_counter_ns() - start) / calls / 1000
    finally:
        if was_enabled:
            gc.enable()
