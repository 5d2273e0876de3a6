"""Turnstile: one thread serves everybody, and whoever uses much of it lets the others go first.

A link is read in turns. Who is done with what was said before the turn is over never waits here:
that is everybody who asks and then waits for the answer, however often. Who is not done, or whose
links have together just used more than a fair part of the thread, takes the next turn only when
the thread has nothing else to do, or when others have had a few times as long as the last such turn
took. So there is one of them at a time, whoever and however many want one. Those who are not let in
yet, whose connections cost much and are worth nothing so far, stand in the same queue. Of those who
wait, who has used least goes first. A link that is alone never waits.

This is fair queueing (RFC 970) with a queue for each party, and a small part of a thread that is
never idle for those who would starve behind it.
"""

from collections import OrderedDict
from math import exp, inf
from time import perf_counter
from typing import Final
from weakref import WeakValueDictionary

import trio
from trio.lowlevel import ParkingLot, RunVar

# It is of the loop, and was meant for tests; to know that nothing else is to be done there is
# nothing better.
from trio.testing import wait_all_tasks_blocked

# What was used counts for about so long, where parties are compared.
_MEMORY_SECONDS: Final = 1.0
# Who has used less than this within that time is as good as not there: a heartbeat.
_NOBODY_SECONDS: Final = 0.0001
# Within so short a time no party has more than half of the thread without a wait: many links that
# say little, all at once, are as bad as one that says much.
_MOMENT_SECONDS: Final = 0.001
_FAIR_SECONDS: Final = 0.0005
# How long a turn is for which somebody has waited, and how many times as long others have after it.
# Without a wait it may be twice as long: that is the answer to a burst.
_TURN_SECONDS: Final = 0.0001
_BURST_SECONDS: Final = 2 * _TURN_SECONDS
_REST: Final = 3
# What a step costs, about, of somebody who is not let in yet.
_STEP_SECONDS: Final = 0.0001


class Usage:
    """The seconds of the thread that somebody has used, which count for less the older they are.

    They count for *memory* seconds or so.
    """

    __slots__ = ("_memory", "_seconds", "_since")

    def __init__(self, memory: float = _MEMORY_SECONDS) -> None:
        self._memory = memory
        self._seconds = 0.0
        self._since = 0.0

    def at(self, now: float) -> float:
        """Return what counts of them *now*."""
        return self._seconds * exp((self._since - now) / self._memory)

    def add(self, seconds: float, now: float) -> None:
        """Count *seconds* more."""
        self._seconds = self.at(now) + seconds
        self._since = now


class Party:
    """All the links of somebody: what they have used lately, and in this moment."""

    __slots__ = ("__weakref__", "lately", "now")

    def __init__(self) -> None:
        self.lately = Usage()
        self.now = Usage(_MOMENT_SECONDS)

    def add(self, seconds: float, now: float) -> None:
        """Count *seconds* more."""
        self.lately.add(seconds, now)
        self.now.add(seconds, now)


class _Waiting:
    """Somebody who waits for a turn."""

    __slots__ = ("is_next", "lot")

    def __init__(self) -> None:
        self.lot = ParkingLot()
        self.is_next = False


class Turnstile:
    """Shares out the thread of one Trio loop; `turnstile()` is that of this loop."""

    def __init__(self) -> None:
        self.everybody = Usage()
        self._newcomers = Party()
        self._parties: WeakValueDictionary[str, Party] = WeakValueDictionary()
        self._queues: dict[Party, OrderedDict[_Waiting, None]] = {}
        self._is_kept = False
        self._rests_until = -inf

    def share(self, party: str | None) -> "Share":
        """Return the share of one link of *party*; None is a party of its own."""
        known = Party() if party is None else self._parties.setdefault(party, Party())
        return Share(self, known)

    async def step(self) -> None:
        """Wait until somebody who is not let in yet may do the next step, of 0.1 ms or so."""
        await self.wait(self._newcomers)
        now = perf_counter()
        self._newcomers.add(_STEP_SECONDS, now)
        self.everybody.add(_STEP_SECONDS, now)
        if self.everybody.at(now) - self._newcomers.lately.at(now) < _NOBODY_SECONDS:
            self._rests_until = -inf

    def rest(self, seconds: float) -> None:
        """Let others go on after a turn of *seconds* for which somebody has waited."""
        self._rests_until = trio.current_time() + _REST * seconds

    async def wait(self, party: Party) -> None:
        """Wait until it is *party*'s turn.

        One of those who wait keeps the turnstile, as there is no task that could do so: it sees
        that the thread is idle, and lets go who is next.
        """
        mine = _Waiting()
        self._queues.setdefault(party, OrderedDict())[mine] = None
        try:
            while not mine.is_next:
                if self._is_kept:
                    await mine.lot.park()
                else:
                    await self._idle()
                    self._let_next()
        finally:
            self._leave(party, mine)

    async def _idle(self) -> None:
        self._is_kept = True
        try:
            with trio.move_on_at(self._rests_until):
                await wait_all_tasks_blocked()
        finally:
            self._is_kept = False

    def _let_next(self) -> None:
        now = perf_counter()
        party = min(self._queues, key=lambda party: party.lately.at(now))
        waiting = next(iter(self._queues[party]))
        waiting.is_next = True
        waiting.lot.unpark_all()
        self._leave(party, waiting)
        # Until it is known how long the turn has been.
        self.rest(_TURN_SECONDS)

    def _leave(self, party: Party, waiting: _Waiting) -> None:
        queue = self._queues.get(party)
        if queue is not None:
            queue.pop(waiting, None)
            if not queue:
                del self._queues[party]
        if not self._is_kept and self._queues:
            next(iter(next(iter(self._queues.values())))).lot.unpark_all()


class Share:
    """What one link has of the thread.

    Before a turn, `begin`; when it is over, say what was `spent`.
    """

    __slots__ = ("_has_filled", "_has_waited", "_own", "_party", "_turnstile")

    def __init__(self, turnstile: Turnstile, party: Party) -> None:
        self._turnstile = turnstile
        self._party = party
        self._own = Usage()
        self._has_filled = False
        self._has_waited = False

    @property
    def is_alone(self) -> bool:
        """Whether nobody else has used the thread lately."""
        now = perf_counter()
        return self._turnstile.everybody.at(now) - self._own.at(now) < _NOBODY_SECONDS

    async def begin(self) -> float:
        """Wait for a turn, if need be; return for how many seconds it may last."""
        if self.is_alone:
            return inf
        if self._has_filled or self._party.now.at(perf_counter()) > _FAIR_SECONDS:
            await self._turnstile.wait(self._party)
            self._has_waited = True
            return _TURN_SECONDS
        return _BURST_SECONDS

    def spent(self, seconds: float, *, is_done: bool) -> None:
        """Note that the link has used *seconds*; *is_done* if nothing of what was said is left."""
        now = perf_counter()
        self._turnstile.everybody.add(seconds, now)
        self._party.add(seconds, now)
        self._own.add(seconds, now)
        self._has_filled = not is_done or seconds > _BURST_SECONDS
        if self._has_waited:
            self._has_waited = False
            self._turnstile.rest(seconds)


_turnstile: RunVar[Turnstile] = RunVar("turnstile")


def turnstile() -> Turnstile:
    """Return the turnstile of the loop that runs."""
    try:
        return _turnstile.get()
    except LookupError:
        made = Turnstile()
        _turnstile.set(made)
        return made
