"""Tasks: their rows, their entries in the queue and their events, always changed together.

The row is the truth about a task. Its entry in the queue is whose turn it is, and is gone when the
task is over; a claim on the entry outlasts the worker's lease, so that it is the lease that runs
out first, here, where the row and its watchers can be told.
"""

import math
import secrets
from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from alknet.errors import Conflict, Unavailable
from alknet.protocol.task import State, Task
from alknet.store import queue, task_rows
from alknet.store.task_rows import Row

# So much longer than a lease lasts a claim in the queue.
_GRACE_SECONDS: Final = 60
# The queue is told to try without end: how often a task is tried is for its row to say.
_UNBOUNDED: Final = 1_000_000
# How many leases and deadlines one transaction looks after, after a crash of many workers.
_STEP: Final = 100
_LONGEST_PAUSE: Final = 300


def create(
    connection: apsw.Connection,
    template: str,
    input: bytes,
    *,
    creator: str,
    key: str | None,
    timeout: float | None,
    max_attempts: int,
    delay: int,
    now: float,
    room: int,
) -> Task:
    """Add a task, or return the one that *creator* has made with *key* before; *input* is JSON.

    Raises:
        Conflict: that one asks for something else.
        Unavailable: *room* tasks are open already.
    """
    if key is not None:
        found = connection.execute(
            f"select {task_rows.COLUMNS} from tasks where creator = ? and key = ?", (creator, key)
        ).fetchone()
        if found is not None:
            return _same(task_rows.read_task(found), template, input)
    count: Any = connection.execute("select count(*) from tasks where job is not null").get
    if count >= room:
        raise Unavailable(
            f"{count} tasks are open, the most that `room` under [task] allows: submit some, have "
            f"more workers take them, or raise it"
        )
    id = f"{int(now * 1e6):016x}{secrets.token_hex(8)}"
    job = queue.enqueue(
        connection, _queue(template), id.encode(), delay=delay, max_attempts=_UNBOUNDED
    )
    connection.execute(
        "insert into tasks (id, template, input, state, attempts, max_attempts, deadline, creator, "
        "key, version, created_at, updated_at, job, due) "
        "values (?, ?, ?, 'queued', 0, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
        (
            *(id, template, input.decode(), max_attempts),
            *(None if timeout is None else now + timeout, creator, key),
            *(now, now, job, now + delay),
        ),
    )
    return task_rows.tell(connection, id)


def is_waiting(connection: apsw.Connection, templates: Sequence[str], now: float) -> bool:
    """Tell whether a task of one of *templates* could be handed out."""
    sql = "select 1 from tasks where template = ? and due <= ? limit 1"
    return any(connection.execute(sql, (each, now)).fetchone() for each in templates)


def next_change(connection: apsw.Connection, now: float) -> float:
    """Return when time itself next changes something; infinity if nothing waits for it."""
    found: Any = connection.execute(
        "select (select min(due) from tasks where due > ?), "
        "(select min(lease) from tasks where lease is not null), "
        "(select min(deadline) from tasks where deadline is not null and job is not null)",
        (now,),
    ).fetchone()
    return min((each for each in found if each is not None), default=math.inf)


def assign(
    connection: apsw.Connection, worker: str, templates: Sequence[str], lease: float, now: float
) -> Task | None:
    """Make the first task of *templates* that is due *worker*'s for *lease* seconds."""
    for template in templates:
        while True:
            jobs = queue.claim(
                connection,
                _queue(template),
                worker,
                1,
                visibility=math.ceil(lease) + _GRACE_SECONDS,
            )
            if not jobs:
                break
            (job,) = jobs
            row = task_rows.find(connection, job.payload.decode())
            if row is None or row.job != job.id:
                queue.acknowledge(connection, job)  # of a task that is over
            elif row.task.attempts >= row.task.max_attempts:
                _finish(connection, row, "dead", now, error=_worn_out(row.task))
            else:
                task_rows.change(
                    connection,
                    row.task.id,
                    now,
                    state="assigned",
                    worker=worker,
                    attempts=row.task.attempts + 1,
                    lease=now + lease,
                    due=None,
                )
                return task_rows.tell(connection, row.task.id)
    return None


def extend(
    connection: apsw.Connection, id: str, attempt: int, worker: str, lease: float, now: float
) -> Task:
    """Note that *worker* is at it, and let it have the task for *lease* seconds from *now*.

    One that was given back meanwhile and that nobody has been handed yet is its again.

    Raises:
        NotFound: there is no such task.
        Conflict: it is not, or no longer, *worker*'s.
    """
    row = _held(connection, id, attempt, worker)
    task = row.task
    if row.job is None:
        raise _lost(task, attempt, worker)
    visibility = math.ceil(lease) + _GRACE_SECONDS
    if task.state == "queued":
        queue.resume(connection, row.job, worker, visibility=visibility)
    else:
        queue.extend(connection, _job(row), visibility=visibility)
    if task.state == "running":
        # No event: nothing has changed that anybody could see.
        connection.execute("update tasks set lease = ? where id = ?", (now + lease, id))
        return task
    task_rows.change(connection, id, now, state="running", lease=now + lease, due=None)
    return task_rows.tell(connection, id)


def submit(
    connection: apsw.Connection,
    id: str,
    attempt: int,
    worker: str,
    now: float,
    *,
    output: bytes | None = None,
    error: str | None = None,
    retry_after: int | None = None,
    retryable: bool = False,
) -> Task:
    """Record what came of it: *output*, which is JSON, or *error*; the first outcome stands.

    One that was given back meanwhile and that nobody has been handed yet is still *worker*'s to
    submit.

    Raises:
        NotFound: there is no such task.
        Conflict: it is not, or no longer, *worker*'s.
    """
    row = _held(connection, id, attempt, worker)
    if not row.is_open:
        return row.task
    if error is None:
        assert output is not None
        return _finish(connection, row, "done", now, output=output)
    if not retryable:
        return _finish(connection, row, "failed", now, error=error)
    return _give_back(connection, row, error, now, retry_after)


def release(connection: apsw.Connection, id: str, attempt: int, why: str, now: float) -> None:
    """Give back a task whose worker is gone, at once, if it is still at that *attempt*."""
    row = task_rows.find(connection, id)
    if row is None or row.task.attempts != attempt:
        return
    if row.task.state in ("assigned", "running"):
        _give_back(connection, row, why, now, 0)


def expire(connection: apsw.Connection, now: float) -> list[str]:
    """End what is past its deadline and give back what is past its lease; return the ids."""
    late: list[Any] = connection.execute(
        "select id from tasks where deadline <= ? and deadline is not null and job is not null "
        "limit ?",
        (now, _STEP),
    ).fetchall()
    for (id,) in late:
        row = task_rows.load(connection, id)
        _finish(connection, row, "dead", now, error="it was not done by its deadline")
    left: list[Any] = connection.execute(
        "select id from tasks where lease <= ? limit ?", (now, _STEP)
    ).fetchall()
    for (id,) in left:
        row = task_rows.load(connection, id)
        why = f"{row.task.worker} neither submitted it nor extended its lease"
        _give_back(connection, row, why, now, 0)
    return [id for (id,) in (*late, *left)]


def prune(connection: apsw.Connection, keep: int) -> int:
    """Forget tasks that are over, beyond the newest *keep*, a few; return how many went."""
    connection.execute(
        "delete from tasks where id in (select id from tasks where job is null "
        "order by id desc limit ? offset ?)",
        (_STEP, keep),
    )
    return connection.changes()


def _same(task: Task, template: str, input: bytes) -> Task:
    if (task.template, task.input) != (template, msgspec.json.decode(input)):
        raise Conflict(
            f"the key {task.key!r} is that of the task {task.id}, which asks for something else: "
            f"give each task a key of its own",
            details={"task": task.id},
        )
    return task


def _queue(template: str) -> str:
    return f"task/{template}"


def _job(row: Row) -> queue.Job:
    """Return the entry of *row*, as who holds it names it to the queue."""
    assert row.job is not None
    task = row.task
    return queue.Job(row.job, _queue(task.template), b"", 0, task.worker or "", 0)


def _held(connection: apsw.Connection, id: str, attempt: int, worker: str) -> Row:
    """Return the task that *worker* was handed as *attempt*, and nobody since.

    Raises:
        NotFound: there is no such task.
        Conflict: somebody else was, or nobody.
    """
    row = task_rows.load(connection, id)
    if (row.task.attempts, row.task.worker) != (attempt, worker):
        raise _lost(row.task, attempt, worker)
    return row


def _lost(task: Task, attempt: int, worker: str) -> Conflict:
    holder = f", now with {task.worker!r}" if task.worker not in (None, worker) else ""
    return Conflict(
        f"the task {task.id} is not {worker!r}'s to go on with: this is attempt {attempt}, and it "
        f"is {task.state} after {task.attempts}{holder}; drop it",
        details={"state": task.state, "attempts": task.attempts},
    )


def _give_back(
    connection: apsw.Connection, row: Row, why: str, now: float, pause: int | None
) -> Task:
    """Have the task tried again in *pause* seconds, or end it if it was tried often enough."""
    task = row.task
    if task.state == "queued":
        return task
    if task.attempts >= task.max_attempts:
        return _finish(connection, row, "dead", now, error=f"{_worn_out(task)}: {why}")
    delay = min(2 ** (task.attempts - 1), _LONGEST_PAUSE) if pause is None else pause
    try:
        queue.retry(connection, _job(row), why, delay=delay)
    except Conflict:
        delay = 0  # The claim ran out too, so that the queue has taken it back by itself.
    task_rows.change(
        connection, task.id, now, state="queued", error=why, lease=None, due=now + delay
    )
    return task_rows.tell(connection, task.id)


def _worn_out(task: Task) -> str:
    return f"it was tried {task.attempts} times, the most it may be"


def _finish(
    connection: apsw.Connection,
    row: Row,
    state: State,
    now: float,
    *,
    output: bytes | None = None,
    error: str | None = None,
) -> Task:
    """End the task, and take it out of the queue: one that is over is nobody's turn any more."""
    assert row.job is not None
    queue.withdraw(connection, row.job)
    text = None if output is None else output.decode()
    gone: dict[str, Any] = {"job": None, "due": None, "lease": None}
    task_rows.change(connection, row.task.id, now, state=state, output=text, error=error, **gone)
    return task_rows.tell(connection, row.task.id)
