"""Time that passes when the test says so."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked


def autojump_clock() -> MockClock:
    """Return a clock for `trio.run` that jumps to the next deadline whenever all tasks wait.

    A timeout of an hour takes no time on it, and neither do backoff, heartbeats and a drain. A
    deadline that goes over a link is told by this clock too. pytest-trio has it as a fixture of
    the same name.
    """
    return MockClock(autojump_threshold=0)


async def advance(seconds: float) -> None:
    """Let *seconds* of the mock clock pass, with all that falls due on the way, in its order.

    A single jump would wake everybody at its end, at the same moment; this one stops at each
    deadline and goes on when all tasks wait again. For a clock that does not jump by itself: run
    under `MockClock()`, which pytest-trio calls `mock_clock`.

    Raises:
        RuntimeError: the program runs on the real clock, which nobody can push.
    """
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, MockClock):
        raise RuntimeError(
            f"only a MockClock can be advanced, and this run has a {type(clock).__name__}: "
            f"use the fixture mock_clock, or trio.run(..., clock=MockClock())"
        )
    end = trio.current_time() + seconds
    while True:
        await wait_all_tasks_blocked()
        left = end - trio.current_time()
        if left <= 0:
            return
        next_deadline = trio.lowlevel.current_statistics().seconds_to_next_deadline
        clock.jump(max(0.0, min(left, next_deadline)))
