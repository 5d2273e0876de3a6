"""TaskService: tasks on disk, and the workers that take them.

Each subscription of a worker is a desk. One loop hands the tasks that are due to the desks that
have room, the least busy first; it runs when a task is made or is back, when a desk has room, and
when time gives back a lease. Everything that changes a task goes through this service, so the loop
needs to be told, and never has to look.
"""

import heapq
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Annotated, Any, Final, Self

import apsw
import msgspec
import structlog
import trio

from alknet.call.context import Context
from alknet.call.wakeup import Wakeup
from alknet.errors import InvalidInput, Unavailable
from alknet.protocol.task import (
    Assignment,
    CreateTask,
    ExtendTask,
    GetTask,
    ListTasks,
    SubmitTask,
    TakeTasks,
    Task,
    TaskEvent,
    TaskPage,
    WatchTasks,
)
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler
from alknet.services.task.desk import Desk, Seat
from alknet.store import task_rows, tasks
from alknet.store.database import Database
from alknet.store.feed import Feed

log = structlog.get_logger("alknet.task")

_PRUNE_SECONDS: Final = 60.0
# The clock may be set while the loop sleeps, and a full disk may have room again.
_LONGEST_SLEEP: Final = 60.0
_RETRY_SECONDS: Final = 1.0
# So many tasks are handed out in one transaction: others write too.
_ROUND: Final = 64
_OVER: Final = ("done", "failed", "dead")


class TaskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [task] of stack.toml; what it keeps is in the database of [storage].

    `room` is how many tasks may be open at a time, and `keep` how many that are over are kept.
    `lease` is how many seconds a worker has a task without a word; `attempts` how often one is
    tried unless it says otherwise. `payload_bytes` bounds an input and an output, as JSON.
    """

    room: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    keep: Annotated[int, msgspec.Meta(ge=0)] = 10_000
    lease: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 30.0
    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    payload_bytes: Annotated[int, msgspec.Meta(ge=1)] = 1024 * 1024


class TaskService(Service, namespace="task"):
    """Keeps tasks, and hands them to workers until somebody has submitted what came of them."""

    requires = ("storage",)
    settings_type = TaskSettings

    def __init__(self, settings: TaskSettings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._database: Database
        self._feed: Feed
        self._desks: list[Desk] = []
        self._left: dict[str, int] = {}
        self._news = Wakeup()

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.section(cls.namespace), host)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._database = self._host.borrow(Database)
        self._feed = Feed(self._database)
        self._desks, self._left, self._news = [], {}, Wakeup()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_assigning)
            nursery.start_soon(self._keep_pruned)
            yield
            nursery.cancel_scope.cancel()

    # For those who have something to be done.

    @handler(concurrent=True)
    async def make(self, request: CreateTask, context: Context) -> Task:
        settings = self._settings
        task = await self._database.write(
            partial(
                tasks.create,
                template=request.template,
                input=self._written("input", request.input),
                creator=_caller(context),
                key=request.key,
                timeout=request.timeout,
                max_attempts=request.max_attempts or settings.attempts,
                delay=request.delay,
                now=time.time(),
                room=settings.room,
            )
        )
        self._news.set()
        return task

    @handler(concurrent=True)
    def get(self, request: GetTask) -> Task:
        return self._database.look(lambda connection: task_rows.get(connection, request.task))

    @handler(concurrent=True)
    def list(self, request: ListTasks) -> TaskPage:
        return self._database.look(
            lambda connection: task_rows.page(
                connection, request.state, request.template, request.after, request.limit
            )
        )

    @handler(endless=True)
    async def watch(self, request: WatchTasks) -> AsyncIterator[TaskEvent]:
        after = request.after
        if request.task is not None:
            after = self._feed.latest()
            found = self._database.look(partial(task_rows.get, id=request.task))
            yield _as_event(found, after)
            if found.state in _OVER:
                return
        async with aclosing(self._feed.follow_rows(task_rows.TOPIC, after)) as rows:
            async for sequence, id, text in rows:
                if request.task not in (None, id):
                    continue
                event = task_rows.read_event(sequence, id, text)
                yield event
                if request.task is not None and event.state in _OVER:
                    return

    # For workers.

    @handler(endless=True)
    async def template(self, request: TakeTasks, context: Context) -> AsyncIterator[Assignment]:
        desk = Desk(_caller(context), request.templates, request.slots)
        self._desks.append(desk)
        self._news.set()
        try:
            while True:
                task = await desk.take()
                yield Assignment(
                    task.id,
                    task.template,
                    task.input,
                    task.attempts,
                    self._settings.lease,
                    task.deadline,
                )
        finally:
            desk.is_open = False
            self._desks.remove(desk)
            self._left.update(desk.held)
            self._news.set()

    @handler(concurrent=True)
    async def extend(self, request: ExtendTask, context: Context) -> Task:
        worker = _caller(context)
        task = await self._database.write(
            partial(
                tasks.extend,
                id=request.task,
                attempt=request.attempt,
                worker=worker,
                lease=self._settings.lease,
                now=time.time(),
            )
        )
        self._attach(task, worker)
        # A lease that begins anew is one to wait for.
        self._news.set()
        return task

    def _attach(self, task: Task, worker: str) -> None:
        """Count *task*, which *worker* kept over a lost link, among what its desk has in hand."""
        desks = [desk for desk in self._desks if desk.worker == worker]
        if not desks or any(task.id in desk.held for desk in desks):
            return
        # It may have been submitted too while this extension was on its way back from the disk.
        found = self._database.look(partial(task_rows.get, id=task.id))
        if (found.state, found.attempts) == ("running", task.attempts):
            desks[-1].held[task.id] = task.attempts

    @handler(concurrent=True)
    async def submit(self, request: SubmitTask, context: Context) -> Task:
        if request.error is not None and request.output is not None:
            raise InvalidInput(
                "give either an `output` or the `error` why there is none, not both",
                details={"field": "error"},
            )
        written = None if request.error is not None else self._written("output", request.output)
        task = await self._database.write(
            partial(
                tasks.submit,
                id=request.task,
                attempt=request.attempt,
                worker=_caller(context),
                now=time.time(),
                output=written,
                error=request.error,
                retryable=request.retryable,
                retry_after=request.retry_after,
            )
        )
        self._let_go(task.id)
        self._news.set()
        return task

    def _let_go(self, id: str) -> None:
        for desk in self._desks:
            desk.held.pop(id, None)

    def _written(self, field: str, value: Any) -> bytes:
        """Return *value* as JSON.

        Raises:
            InvalidInput: it is larger than this node keeps.
        """
        text = msgspec.json.encode(value)
        most = self._settings.payload_bytes
        if len(text) > most:
            raise InvalidInput(
                f"the {field} has {len(text)} bytes as JSON, and `payload_bytes` under [task] "
                f"allows {most}: keep it elsewhere, and say where",
                details={"field": field},
            )
        return text

    # The loop.

    async def _keep_assigning(self) -> None:
        while True:
            try:
                pause = await self._round()
            except Unavailable as error:
                log.warning("tasks not handed out", why=str(error))
                pause = _RETRY_SECONDS
            with trio.move_on_after(pause):
                await self._news.wait()

    async def _round(self) -> float:
        """Do what there is to do now; return for how many seconds there is nothing, unless told."""
        now = time.time()
        change, is_wanted = self._database.look(
            lambda connection: (
                tasks.next_change(connection, now),
                any(
                    tasks.is_waiting(connection, desk.templates, now)
                    for desk in self._desks
                    if desk.room
                ),
            )
        )
        if not (self._left or is_wanted or change <= now):
            return min(change - now, _LONGEST_SLEEP)
        left = dict(self._left)
        desks = [desk for desk in self._desks if desk.room]
        seats = [desk.seat for desk in desks]
        step = partial(_step, left=left, seats=seats, lease=self._settings.lease, now=now)
        expired, handed = await self._database.write(step)
        for id, attempt in left.items():
            if self._left.get(id) == attempt:
                del self._left[id]
        for id in expired:
            self._let_go(id)
        for number, task in handed:
            desk = desks[number]
            if desk.is_open:
                desk.put(task)
            else:
                self._left[task.id] = task.attempts
        # An entry that the queue does not give although it is due comes with its next second.
        return 0.0 if expired or handed or self._left else _RETRY_SECONDS

    async def _keep_pruned(self) -> None:
        prune = partial(tasks.prune, keep=self._settings.keep)
        while True:
            try:
                while await self._database.write(prune):
                    pass
            except Unavailable as error:
                log.warning("tasks not pruned", why=str(error))
            await trio.sleep(_PRUNE_SECONDS)


def _caller(context: Context) -> str:
    return "" if context.identity is None else context.identity.id


def _as_event(task: Task, sequence: int) -> TaskEvent:
    return TaskEvent(
        sequence,
        task.id,
        task.template,
        task.state,
        task.attempts,
        task.worker,
        task.version,
        task.updated_at,
    )


def _step(
    connection: apsw.Connection,
    left: Mapping[str, int],
    seats: Sequence[Seat],
    lease: float,
    now: float,
) -> tuple[list[str], list[tuple[int, Task]]]:
    """Give back what is *left* or out of its lease; hand out what is due, the least busy first.

    Return the ids of what time took from its worker, and for each task that was handed out the
    number of its seat.
    """
    for id, attempt in left.items():
        tasks.release(connection, id, attempt, "its worker is gone", now)
    expired = tasks.expire(connection, now)
    handed: list[tuple[int, Task]] = []
    queue = [(seat.held, number, seat) for number, seat in enumerate(seats)]
    heapq.heapify(queue)
    while queue and len(handed) < _ROUND:
        held, number, seat = heapq.heappop(queue)
        task = tasks.assign(connection, seat.worker, seat.templates, lease, now)
        if task is None:
            continue
        handed.append((number, task))
        if held + 1 < seat.held + seat.room:
            heapq.heappush(queue, (held + 1, number, seat))
    return expired, handed
