"""What one may ask of the keeper of tasks: work that outlives the processes that do it.

Somebody creates a task of a template, which is a word for a kind of work. A worker takes tasks of
the templates it knows from a subscription, and submits what came of each:

    queued -> assigned -> running -> done      the worker submitted an output
                                  -> failed    it submitted an error that trying again cannot mend
                                  -> queued    it could not do it now, or is gone: somebody else may
                                  -> dead      as before, but for the last time, or too late

What is acknowledged is on disk. A task is handed out at least once and its outcome is recorded
exactly once, so what a worker does should be harmless when done twice. Times are Unix seconds.
"""

from typing import Annotated, Any, Literal

import msgspec

from alknet.protocol.request import Request, Subscription, operation
from alknet.protocol.storage.types import Key, Limit

State = Literal["queued", "assigned", "running", "done", "failed", "dead"]
Attempts = Annotated[int, msgspec.Meta(ge=1, le=100)]
Slots = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Templates = Annotated[tuple[Key, ...], msgspec.Meta(min_length=1, max_length=64)]
Delay = Annotated[int, msgspec.Meta(ge=0, le=86_400)]
Patience = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]


class Task(msgspec.Struct, frozen=True):
    """A task as it stands.

    `attempts` is how often it was handed out, the last time to `worker`. `output` is there when it
    is done, `error` is the last that was told. After `deadline` nobody is to begin or finish it. A
    `version` begins at 1 and grows by 1 with each change.
    """

    id: str
    template: str
    input: Any
    state: State
    attempts: int
    max_attempts: int
    worker: str | None
    output: Any
    error: str | None
    deadline: float | None
    creator: str
    key: str | None
    version: int
    created_at: float
    updated_at: float


class TaskPage(msgspec.Struct, frozen=True):
    """Some tasks in the order they were made; `next` continues the list, None at its end."""

    tasks: tuple[Task, ...]
    next: str | None = None


class Assignment(msgspec.Struct, frozen=True):
    """A task that is the receiver's to do, its `attempt`-th time, until `lease` runs out.

    `lease` is in seconds from when it is received; `task/extend` begins it anew.
    """

    task: str
    template: str
    input: Any
    attempt: int
    lease: float
    deadline: float | None


class TaskEvent(msgspec.Struct, frozen=True):
    """A task has changed, and that is committed; `sequence` grows with every event of the node."""

    sequence: int
    task: str
    template: str
    state: State
    attempt: int
    worker: str | None
    version: int
    at: float


@operation(
    "task/create", kind="mutation", scopes=("task:create",), errors=("CONFLICT", "UNAVAILABLE")
)
class CreateTask(Request[Task], frozen=True):
    """Have something done: a task of `template`, with `input` for whoever does it.

    With a `key` it is made once: the same caller asking again gets the task that is there. It has
    to be done within `timeout` seconds, if given, and may be tried `max_attempts` times. `delay` is
    how many seconds it is held back first. Input and output are kept as they are: seal secrets.
    """

    template: Key
    input: Any = None
    key: Key | None = None
    timeout: Patience | None = None
    max_attempts: Attempts | None = None
    delay: Delay = 0


@operation("task/template", scopes=("task:work",))
class TakeTasks(Subscription[Assignment], frozen=True):
    """Be handed tasks of `templates`, each when there is one, to submit with `task/submit`.

    At most `slots` are handed out and not submitted at a time. When the subscription ends, those
    that are not submitted are handed to others.
    """

    templates: Templates
    slots: Slots = 1


@operation(
    "task/extend", kind="mutation", scopes=("task:work",), idempotent=True, errors=("CONFLICT",)
)
class ExtendTask(Request[Task], frozen=True):
    """Say that the `attempt` at `task` is under way, and begin its lease anew."""

    task: Key
    attempt: int


@operation(
    "task/submit", kind="mutation", scopes=("task:work",), idempotent=True, errors=("CONFLICT",)
)
class SubmitTask(Request[Task], frozen=True):
    """Say what came of the `attempt` at `task`: an `output`, or the `error` why there is none.

    One that is `retryable` is tried again, after `retry_after` seconds or, without it, a pause that
    grows with the attempts. The first outcome of a task stands: whoever submits it again is given
    the task as it is, and CONFLICT if the task is somebody else's by now.
    """

    task: Key
    attempt: int
    output: Any = None
    error: str | None = None
    retryable: bool = False
    retry_after: Delay | None = None


@operation("task/get", scopes=("task:read",))
class GetTask(Request[Task], frozen=True):
    """Return the task called `task`."""

    task: Key


@operation("task/list", scopes=("task:read",))
class ListTasks(Request[TaskPage], frozen=True):
    """List the tasks behind `after`; with `state` or `template`, those that have it."""

    state: State | None = None
    template: Key | None = None
    after: str = ""
    limit: Limit = 100


@operation("task/watch", scopes=("task:read",), resume=("after", "sequence"))
class WatchTasks(Subscription[TaskEvent], frozen=True):
    """Follow what becomes of tasks: what follows the event `after`, then what comes.

    Without `after` it begins with what comes; 0 begins with the oldest event that is kept. With
    `task` it is of that one alone: it begins with how that stands now, whatever `after` says, and
    ends when it is done, failed or dead.
    """

    after: int | None = None
    task: Key | None = None
