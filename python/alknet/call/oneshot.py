"""OneShot: a place for one outcome, and one task that sleeps until it is there."""

from typing import Any

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule
from trio.lowlevel import wait_task_rescheduled as park


class OneShot:
    """Holds one outcome for one waiting task; the first to settle it decides.

    Cheaper than a memory channel or an Event with a slot: the outcome travels with the wake-up.
    """

    __slots__ = ("_error", "_task", "_value", "is_over")

    def __init__(self) -> None:
        self._task: Task | None = None
        self._value: Any = None
        self._error: BaseException | None = None
        self.is_over = False

    def respond(self, value: Any) -> None:
        """Settle with a value; goes nowhere if it is settled, or nobody waits any more."""
        if not self.is_over:
            self._value = value
            self._settle()

    def fail(self, error: BaseException) -> None:
        """Settle with an error; goes nowhere if it is settled, or nobody waits any more."""
        if not self.is_over:
            self._error = error
            self._settle()

    async def wait(self) -> Any:
        """Return the value or raise the error; if cancelled, `abandon` is called once."""
        if self.is_over:
            await trio.lowlevel.checkpoint()
            return self.unwrap()
        self._task = current_task()
        return await park(self._cancelled)

    def abandon(self) -> None:
        """Give up waiting: whatever is settled later goes nowhere."""
        self.is_over = True

    def unwrap(self) -> Any:
        """Return the value or raise the error. Trio calls this in the task that wakes up."""
        # Whoever still holds the OneShot need not hold a large answer too, nor an error whose
        # traceback leads back here: that cycle would wait for the garbage collector.
        error, self._error = self._error, None
        if error is None:
            value, self._value = self._value, None
            return value
        try:
            raise error
        finally:
            # The traceback holds this frame: without its reference to the error there is no cycle.
            del error, self

    def _settle(self) -> None:
        self.is_over = True
        task = self._task
        if task is not None:
            self._task = None
            # All that Trio asks of an outcome is `unwrap`; being one ourselves saves making one.
            reschedule(task, self)  # type: ignore[arg-type] # see above

    def _cancelled(self, _: RaiseCancelT) -> Abort:
        self._task = None
        self.abandon()
        return Abort.SUCCEEDED
