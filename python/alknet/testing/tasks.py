"""no_orphans: whoever starts a task waits for its end, and this says who did not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path

import trio
from trio.lowlevel import Task
from trio.testing import MockClock, wait_all_tasks_blocked

_STEP = 0.005


class Tasks(trio.abc.Instrument):
    """An instrument that knows which of the tasks that began while it watched are still there."""

    def __init__(self) -> None:
        self.begun = 0
        self.alive: set[Task] = set()

    def task_spawned(self, task: Task) -> None:
        self.begun += 1
        self.alive.add(task)

    def task_exited(self, task: Task) -> None:
        self.alive.discard(task)


@asynccontextmanager
async def no_orphans(*, grace: float = 1.0) -> AsyncIterator[Tasks]:
    """Fail if tasks that began within the block, anywhere in the program, outlive it.

    What is on its way to its end when the block is left has *grace* seconds to get there. Yields
    what counts the tasks. An error of the block itself comes out as it is.

    Raises:
        AssertionError: there are such tasks; it names each, and the line where it waits.
    """
    tasks = Tasks()
    trio.lowlevel.add_instrument(tasks)
    try:
        yield tasks
        await _settled(tasks, grace)
    finally:
        trio.lowlevel.remove_instrument(tasks)
    if tasks.alive:
        lines = sorted(f"  {task.name} waits at {_where(task)}" for task in tasks.alive)
        raise AssertionError(
            "\n".join([f"{len(lines)} tasks outlive the block they began in:", *lines])
        )


async def _settled(tasks: Tasks, grace: float) -> None:
    """Return when *tasks* are gone, or do not go."""
    clock = trio.lowlevel.current_clock()
    # On a clock that stands still nobody may sleep, and nothing is on its way but what can run now.
    stands = isinstance(clock, MockClock) and not clock.rate and clock.autojump_threshold == inf
    until = trio.current_time() + grace
    while tasks.alive and trio.current_time() < until:
        if not stands:
            await trio.sleep(_STEP)
            continue
        await wait_all_tasks_blocked(_STEP)
        return


def _where(task: Task) -> str:
    """Return the line of the task's own code that waits; the frames below it are Trio's."""
    best = "its first line"
    for frame, line in task.iter_await_frames():
        path = Path(frame.f_code.co_filename)
        if "trio" not in path.parts:
            best = f"{path.name}:{line}"
    return best
