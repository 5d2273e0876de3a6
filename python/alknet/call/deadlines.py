"""Deadlines: one task and one heap for all the calls that wait on a link.

A cancel scope for each call would cost more than the call. Here a call that is answered in time,
which is nearly every call, costs a heap push; it stays in the heap until the heap has doubled and
is swept.
"""

import heapq
import math
from itertools import count
from typing import Protocol

import trio

_SWEEP_AT = 256


class Waiting(Protocol):
    """Something that may be answered before it is late."""

    @property
    def is_over(self) -> bool:
        """Whether it has been answered or given up."""
        ...

    def expire(self) -> None:
        """Be told that it is late."""


class Deadlines:
    """Tells each call that is added when its deadline passes, unless it is over by then."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Waiting]] = []
        self._serial = count()
        self._scope: trio.CancelScope | None = None
        self._next = math.inf
        self._sweep_at = _SWEEP_AT

    def add(self, deadline: float, call: Waiting) -> None:
        """Watch *call*; *deadline* is in Trio's clock."""
        heap = self._heap
        if len(heap) >= self._sweep_at:
            heap[:] = [entry for entry in heap if not entry[2].is_over]
            heapq.heapify(heap)
            self._sweep_at = max(_SWEEP_AT, 2 * len(heap))
        heapq.heappush(heap, (deadline, next(self._serial), call))
        if deadline < self._next:
            self._next = deadline
            if self._scope is not None:
                self._scope.deadline = deadline

    async def run(self) -> None:
        """Watch until cancelled."""
        heap = self._heap
        while True:
            now = trio.current_time()
            while heap and (heap[0][0] <= now or heap[0][2].is_over):
                call = heapq.heappop(heap)[2]
                if not call.is_over:
                    call.expire()
            self._next = heap[0][0] if heap else math.inf
            with trio.CancelScope(deadline=self._next) as self._scope:
                await trio.sleep_forever()
