"""The rows of tasks, and the event that is written with each change of one."""

from typing import Any, Final

import apsw
import msgspec

from alknet.errors import NotFound
from alknet.protocol.task import State, Task, TaskEvent, TaskPage
from alknet.store.catalogue import MAX_PAGE

# What the events of tasks are filed under, beside the streams of the graphs.
TOPIC: Final = "tasks"

COLUMNS: Final = (
    "id, template, input, state, attempts, max_attempts, worker, output, error, deadline, creator, "
    "key, version, created_at, updated_at"
)
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.decode


class _Event(msgspec.Struct, frozen=True, array_like=True):
    template: str
    state: State
    attempt: int
    worker: str | None
    version: int
    at: float


_decode_event: Final = msgspec.json.Decoder(_Event).decode


class Row(msgspec.Struct, frozen=True):
    """A task with what nobody is told of it: its entry in the queue."""

    task: Task
    job: int | None

    @property
    def is_open(self) -> bool:
        """Whether anything can still come of it."""
        return self.job is not None


def get(connection: apsw.Connection, id: str) -> Task:
    """Return the task called *id*.

    Raises:
        NotFound: there is none.
    """
    return load(connection, id).task


def page(
    connection: apsw.Connection,
    state: State | None,
    template: str | None,
    after: str,
    limit: int,
) -> TaskPage:
    """Return at most *limit* tasks that follow *after*, of a *state* and *template* if given."""
    limit = min(limit, MAX_PAGE)
    wanted = {"state = ?": state, "template = ?": template}
    given = {term: value for term, value in wanted.items() if value is not None}
    where = " and ".join(["id > ?", *given])
    rows = connection.execute(
        f"select {COLUMNS} from tasks where {where} order by id limit ?",
        (after, *given.values(), limit),
    )
    tasks = tuple(map(read_task, rows))
    return TaskPage(tasks, tasks[-1].id if len(tasks) == limit else None)


def read_event(sequence: int, id: str, text: str) -> TaskEvent:
    """Return the event that was written as *text*."""
    told = _decode_event(text)
    return TaskEvent(
        sequence, id, told.template, told.state, told.attempt, told.worker, told.version, told.at
    )


def change(connection: apsw.Connection, id: str, now: float, **columns: Any) -> None:
    """Give *columns* of a task new values, which makes a new version of it."""
    words = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(
        f"update tasks set {words}, version = version + 1, updated_at = ? where id = ?",
        (*columns.values(), now, id),
    )


def tell(connection: apsw.Connection, id: str) -> Task:
    """Write the event that tells how the task stands now; return it."""
    task = load(connection, id).task
    event = _Event(
        task.template, task.state, task.attempts, task.worker, task.version, task.updated_at
    )
    connection.execute(
        "insert into _honker_stream (topic, key, payload) values (?, ?, ?)",
        (TOPIC, id, _encode(event).decode()),
    )
    return task


def load(connection: apsw.Connection, id: str) -> Row:
    """As `find`.

    Raises:
        NotFound: there is none.
    """
    found = find(connection, id)
    if found is None:
        raise NotFound(
            f"there is no task {id!r}: it never was, or was over so long ago that it was forgotten"
        )
    return found


def find(connection: apsw.Connection, id: str) -> Row | None:
    """Return the row of the task called *id*, or None."""
    found: Any = connection.execute(
        f"select {COLUMNS}, job from tasks where id = ?", (id,)
    ).fetchone()
    return None if found is None else Row(read_task(found[:-1]), found[-1])


def read_task(row: Any) -> Task:
    """Return the task in *row*, whose columns are in the order of its fields."""
    id, template, input, state, attempts, max_attempts, worker, output, *rest = row
    done = None if output is None else _decode(output)
    return Task(id, template, _decode(input), state, attempts, max_attempts, worker, done, *rest)
