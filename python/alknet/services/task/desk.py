"""Desk: where a worker sits: what it can do, and what it has in hand."""

from collections import deque
from typing import NamedTuple

from alknet.call.wakeup import Wakeup
from alknet.protocol.task import Task


class Seat(NamedTuple):
    """What the writer's thread is told of a desk: it has `room` for more, and has `held` tasks."""

    worker: str
    templates: tuple[str, ...]
    held: int
    room: int


class Desk:
    """One subscription of a worker: the templates it knows, and the tasks it has in hand.

    `held` has the number of the attempt for each task, submitted ones left out.
    """

    def __init__(self, worker: str, templates: tuple[str, ...], slots: int) -> None:
        self.worker = worker
        self.templates = templates
        self.held: dict[str, int] = {}
        self.is_open = True
        self._slots = slots
        self._ready: deque[Task] = deque()
        self._wakeup = Wakeup()

    @property
    def room(self) -> int:
        """How many more tasks may be handed to it."""
        return max(self._slots - len(self.held), 0)

    @property
    def seat(self) -> Seat:
        """What to know of it to hand it something."""
        return Seat(self.worker, self.templates, len(self.held), self.room)

    def put(self, task: Task) -> None:
        """Hand it *task*."""
        self.held[task.id] = task.attempts
        self._ready.append(task)
        self._wakeup.set()
        # Who is asked for all it can do begins with another template each time.
        self.templates = (*self.templates[1:], self.templates[0])

    async def take(self) -> Task:
        """Return the next task that was handed to it."""
        while not self._ready:
            await self._wakeup.wait()
        return self._ready.popleft()
