"""One task waits, anybody wakes it: the cheapest correct signal that Trio has."""

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule
from trio.lowlevel import wait_task_rescheduled as park


class Wakeup:
    """A signal for a single waiting task; signals sent while nobody waits count as one.

    A `trio.Event` is used up by being set and has to be made anew for each round; this one is not,
    which is what a writer or a mailbox that sleeps thousands of times a second needs.
    """

    __slots__ = ("_is_set", "_task")

    def __init__(self) -> None:
        self._is_set = False
        self._task: Task | None = None

    def set(self) -> None:
        """Wake the waiting task, or let the next `wait` return at once."""
        task = self._task
        if task is None:
            self._is_set = True
        else:
            self._task = None
            reschedule(task)

    async def wait(self) -> None:
        """Return when `set` has been called since the last return; a checkpoint in any case.

        Cancelling leaves the signal as it was.
        """
        if self._is_set:
            await trio.lowlevel.checkpoint()
            self._is_set = False
            return
        if self._task is not None:
            raise RuntimeError("another task is waiting for this signal already")
        self._task = current_task()
        await park(self._abandon)

    def _abandon(self, _: RaiseCancelT) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
