"""OneShot: a place for one outcome, and one task that sleeps until it is there."""

from typing import Any

import outcome
import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule
from trio.lowlevel import wait_task_rescheduled as park


class OneShot:
    """Holds one outcome for one waiting task; the first to settle it decides.

    Cheaper than a memory channel or an Event with a slot, because the outcome travels with the
    wake-up itself.
    """

    __slots__ = ("_outcome", "_task", "is_over")

    def __init__(self) -> None:
        self._task: Task | None = None
        self._outcome: outcome.Outcome[Any] | None = None
        self.is_over = False

    def settle(self, result: outcome.Outcome[Any]) -> None:
        """Give the outcome; goes nowhere if there is one already, or nobody waits any more."""
        if self.is_over:
            return
        self.is_over = True
        task = self._task
        if task is None:
            self._outcome = result
        else:
            self._task = None
            reschedule(task, result)

    async def wait(self) -> Any:
        """Return the value or raise the error; if cancelled, `abandon` is called once."""
        if self._outcome is not None:
            await trio.lowlevel.checkpoint()
            return self._outcome.unwrap()
        self._task = current_task()
        return await park(self._cancelled)

    def _cancelled(self, _: RaiseCancelT) -> Abort:
        self._task = None
        self.abandon()
        return Abort.SUCCEEDED

    def abandon(self) -> None:
        """Give up waiting: whatever is settled later goes nowhere."""
        self.is_over = True
