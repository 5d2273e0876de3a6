"""A queue of tasks that are done at least once: claimed for a while, retried, and buried at last.

The tables and the life of a job are honker's: a job is pending, then processing by a worker whose
claim expires, then gone when it is acknowledged; after its last attempt it lies among the dead.
Jobs are claimed in the order in which they are due.

Claims are SQL of our own. honker's looks at every pending job of the queue for ones that have used
up their attempts, so that a claim takes 2 ms with 30 000 waiting (measured); these look at what has
expired, which its deadline index gives, and at as many due jobs as are asked for. honker's
priorities are given up for that: with them, due jobs cannot be told from later ones by an index.
"""

from typing import Any, Final

import apsw
import msgspec

from alknet.errors import Conflict

MAX_ATTEMPTS: Final = 3
VISIBILITY_SECONDS: Final = 300

# How many expired claims one claim tidies up: it stays short after a crash of many workers.
_TIDY: Final = 100

_MOVED: Final = "id, queue, payload, priority, run_at, attempts, max_attempts, created_at"


class Job(msgspec.Struct, frozen=True):
    """A claimed task; `attempts` counts this one too. `worker` holds it until `expires_at`."""

    id: int
    queue: str
    payload: bytes
    attempts: int
    worker: str
    expires_at: int


def enqueue(
    connection: apsw.Connection,
    queue: str,
    payload: bytes,
    *,
    delay: int = 0,
    max_attempts: int = MAX_ATTEMPTS,
) -> int:
    """Add a task, due when this transaction is committed or *delay* seconds later; return its id.

    *payload* is UTF-8 text, such as JSON.
    """
    sql = "select honker_enqueue(?, ?, null, ?, 0, ?, null)"
    return _run(connection, sql, (queue, payload.decode(), delay, max_attempts))


def claim(
    connection: apsw.Connection,
    queue: str,
    worker: str,
    limit: int,
    *,
    visibility: int = VISIBILITY_SECONDS,
) -> list[Job]:
    """Return at most *limit* jobs that are due, which are *worker*'s for *visibility* seconds.

    One whose earlier claim has expired is among them again, or dead if that was its last attempt.
    The cost depends on the number of jobs returned, not on how many wait or are being worked on.
    """
    _tidy(connection, queue)
    rows: list[Any] = connection.execute(
        "update _honker_live set state = 'processing', worker_id = :worker, "
        "claim_expires_at = unixepoch() + :visibility, attempts = attempts + 1 where id in "
        "(select id from _honker_live indexed by _honker_live_pending_deadline "
        "where queue = :queue and state = 'pending' and run_at <= unixepoch() "
        "order by run_at, id limit :limit) "
        "returning id, queue, payload, attempts, worker_id, claim_expires_at",
        {"worker": worker, "visibility": visibility, "queue": queue, "limit": limit},
    ).fetchall()
    return [
        Job(id, name, payload.encode(), attempts, holder, expires)
        for id, name, payload, attempts, holder, expires in sorted(rows)
    ]


def acknowledge(connection: apsw.Connection, job: Job) -> None:
    """Note that *job* is done. In the transaction of what it did, it is done exactly once.

    Raises:
        Conflict: the claim has expired, and somebody else may have the job.
    """
    _held(job, _run(connection, "select honker_ack(?, ?)", (job.id, job.worker)))


def retry(connection: apsw.Connection, job: Job, error: str, *, delay: int = 0) -> None:
    """Give *job* back, to be claimed after *delay* seconds; bury it if this was its last attempt.

    Raises:
        Conflict: the claim has expired, and somebody else may have the job.
    """
    sql = "select honker_retry(?, ?, ?, ?)"
    _held(job, _run(connection, sql, (job.id, job.worker, delay, error)))


def bury(connection: apsw.Connection, job: Job, error: str) -> None:
    """Put *job* among the dead, with *error* as the reason.

    Raises:
        Conflict: the claim has expired, and somebody else may have the job.
    """
    _held(job, _run(connection, "select honker_fail(?, ?, ?)", (job.id, job.worker, error)))


def extend(connection: apsw.Connection, job: Job, *, visibility: int = VISIBILITY_SECONDS) -> None:
    """Hold *job* for *visibility* seconds from now.

    Raises:
        Conflict: the claim has expired, and somebody else may have the job.
    """
    sql = "select honker_heartbeat(?, ?, ?)"
    _held(job, _run(connection, sql, (job.id, job.worker, visibility)))


def release(connection: apsw.Connection, job: Job) -> None:
    """Give *job* back unfinished, due at once, as if it had not been claimed; ignore a lost claim.

    For a worker that stops: a node that is restarted often must not use up anybody's attempts.
    """
    connection.execute(
        "update _honker_live set state = 'pending', worker_id = null, claim_expires_at = null, "
        "attempts = attempts - 1 where id = ? and worker_id = ? and state = 'processing' "
        "and claim_expires_at >= unixepoch()",
        (job.id, job.worker),
    )


def next_due(connection: apsw.Connection, queue: str) -> int | None:
    """Return when, in Unix seconds, a job of *queue* can be claimed next; None if it is empty.

    A time that is past means now. It is read from two indexes, whatever the backlog.
    """
    due: Any = connection.execute(
        "select min(at) from ("
        "select min(run_at) as at from _honker_live indexed by _honker_live_pending_deadline "
        "where queue = ?1 and state = 'pending' union all "
        "select min(claim_expires_at) + 1 from _honker_live "
        "indexed by _honker_live_processing_deadline where queue = ?1 and state = 'processing')",
        (queue,),
    ).get
    return None if due is None else int(due)


def resume(
    connection: apsw.Connection, id: int, worker: str, *, visibility: int = VISIBILITY_SECONDS
) -> None:
    """Give the job *id*, which *worker* had and nobody has now, to it for *visibility* seconds.

    Raises:
        Conflict: somebody has it, or it is gone.
    """
    connection.execute(
        "update _honker_live set state = 'processing', worker_id = ?, "
        "claim_expires_at = unixepoch() + ? where id = ? and state = 'pending'",
        (worker, visibility, id),
    )
    if not connection.changes():
        raise Conflict(f"job {id} is somebody else's by now, or it is done")


def withdraw(connection: apsw.Connection, id: int) -> None:
    """Take the job *id* out of its queue, whoever holds it; one that is gone is ignored."""
    connection.execute("delete from _honker_live where id = ?", (id,))


def _tidy(connection: apsw.Connection, queue: str) -> None:
    """Give back the jobs whose claims have expired, and bury those that were tried often enough."""
    expired: list[Any] = connection.execute(
        "select id, attempts >= max_attempts from _honker_live "
        "indexed by _honker_live_processing_deadline "
        "where queue = ? and state = 'processing' and claim_expires_at < unixepoch() limit ?",
        (queue, _TIDY),
    ).fetchall()
    for id, is_last in expired:
        if is_last:
            connection.execute(
                f"insert into _honker_dead ({_MOVED}, last_error) "
                f"select {_MOVED}, 'its last claim expired' from _honker_live where id = ?",
                (id,),
            )
            connection.execute("delete from _honker_live where id = ?", (id,))
        else:
            connection.execute(
                "update _honker_live set state = 'pending', worker_id = null, "
                "claim_expires_at = null where id = ?",
                (id,),
            )


def _run(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...]) -> int:
    found: Any = connection.execute(sql, bindings).get
    return int(found)


def _held(job: Job, count: int) -> None:
    if not count:
        raise Conflict(
            f"job {job.id} of the queue {job.queue!r} is not held by {job.worker!r} any more: its "
            f"claim has expired, or it is done"
        )
