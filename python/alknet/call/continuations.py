"""Continuations: calls that go on when the call they were made for is given up."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog
import trio

from alknet.call.context import Context
from alknet.call.measure import code_of
from alknet.call.oneshot import OneShot
from alknet.errors import DeadlineExceeded, Unavailable

log = structlog.get_logger("alknet.call")

Answer = TypeVar("Answer")

# How many may be under way at once: a caller that asks and leaves over and over must not fill the
# memory with what it has left behind.
MOST: Final = 1024


class Continuations:
    """Makes calls in tasks of its own, which `run` is the parent of and waits for.

    Each ends by the deadline of the call that it was made for, if that has one. What comes of those
    whose caller has left stands in the log.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._nursery: trio.Nursery | None = None
        self._under_way = 0
        self._idle = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return self._under_way

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take calls until cancelled; those under way are cancelled then."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def drain(self) -> None:
        """Return when none is under way."""
        while self._under_way:
            await self._idle.park()

    async def call(
        self, ask: Callable[[], Awaitable[Answer]], name: str, parent: Context
    ) -> Answer:
        """Return what *ask* does, in a task of its own; cancelling this leaves that to go on.

        Raises:
            Unavailable: too many are under way, or the node stops.
        """
        if self._nursery is None:
            raise Unavailable(f"{name} was not begun: its node is not running, or is stopping")
        if self._under_way >= self._most:
            raise Unavailable(
                f"{name} was not begun: {self._under_way} calls that outlive their callers are "
                f"under way, the most that there may be"
            )
        outcome = OneShot()
        self._under_way += 1
        self._nursery.start_soon(self._carry, ask, name, parent, outcome, name=name)
        answer: Answer = await outcome.wait()
        return answer

    async def _carry(
        self, ask: Callable[[], Awaitable[Any]], name: str, parent: Context, outcome: OneShot
    ) -> None:
        code = "ABORTED"
        try:
            with trio.CancelScope(deadline=parent.deadline) as scope:
                try:
                    answer = await ask()
                except Exception as error:
                    code = code_of(error)
                    self._tell(outcome.is_over, name, parent, code)
                    outcome.fail(error)
                    return
                self._tell(outcome.is_over, name, parent, "OK")
                outcome.respond(answer)
            if scope.cancelled_caught:
                self._tell(outcome.is_over, name, parent, DeadlineExceeded.code)
                outcome.fail(DeadlineExceeded(f"{name} was not done by its deadline"))
        except trio.Cancelled:
            self._tell(outcome.is_over, name, parent, code)
            outcome.fail(Unavailable(f"{name} was cancelled: its node stops"))
            raise
        finally:
            self._under_way -= 1
            self._idle.unpark_all()

    @staticmethod
    def _tell(has_left: bool, name: str, parent: Context, code: str) -> None:
        if has_left:
            went_on(name, parent.request_id, code)


def went_on(operation: str, call: str, outcome: str) -> None:
    """Log the *outcome* of an *operation* that has outlived the *call* which it was for."""
    level = log.info if outcome == "OK" else log.warning
    level("went on without its caller", operation=operation, call=call, outcome=outcome)
