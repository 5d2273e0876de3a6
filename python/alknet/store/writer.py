"""The writer: one thread that runs whole transactions, many to a commit.

A transaction is a function of the connection. Those that are waiting when the thread is free share
one commit, each in a savepoint of its own, so that one that fails takes nothing of the others with
it. Nobody hears of success before the commit has returned and the file has been seen to be still
in its place.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, TypeVar

import apsw
import outcome
import trio

from alknet.errors import Unavailable
from alknet.store.faults import explained

T = TypeVar("T")

Transaction = Callable[[apsw.Connection], T]

# A commit of so many small transactions takes some milliseconds, which is what the first of them
# waits for the last.
_MOST_IN_A_COMMIT: Final = 256


_NOT_RUN: Final = outcome.Error(RuntimeError("not run"))


class _Job:
    """One transaction on its way; whoever gets hold of `begun` first decides whether it runs."""

    __slots__ = ("begun", "outcome", "task", "transaction")

    def __init__(self, transaction: Transaction[Any], task: trio.lowlevel.Task) -> None:
        self.transaction = transaction
        self.task = task
        self.begun = Lock()
        self.outcome: outcome.Outcome[Any] = _NOT_RUN

    def withdraw(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        """See to it that the transaction does not run, if it has not begun."""
        withdrawn = self.begun.acquire(blocking=False)
        return trio.lowlevel.Abort.SUCCEEDED if withdrawn else trio.lowlevel.Abort.FAILED


class Writer:
    """Runs transactions on *connection*, which no other thread may use from now on.

    *committed* is called in Trio's thread after each commit that had one in it that succeeded.
    """

    def __init__(
        self, connection: apsw.Connection, path: Path, committed: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._path = path
        self._committed = committed
        self._token = trio.lowlevel.current_trio_token()
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._files = [_identity(path), _identity(_wal(path))]
        self._gone: str | None = None
        self._is_closed = False
        self._thread = Thread(target=self._run, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    async def run(self, transaction: Transaction[T]) -> T:
        """Return what *transaction* returns once it is committed; see `Database.write`."""
        if self._is_closed:
            raise Unavailable(f"{self._path} has been closed")
        await trio.lowlevel.checkpoint_if_cancelled()
        job = _Job(transaction, trio.lowlevel.current_task())
        self._queue.put(job)
        result: T = await trio.lowlevel.wait_task_rescheduled(job.withdraw)
        return result

    async def close(self) -> None:
        """Return when all that was handed over has been run; take no more."""
        self._is_closed = True
        self._queue.put(None)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._thread.join)

    def _run(self) -> None:
        is_open = True
        while is_open:
            waiting = [self._queue.get()]
            with contextlib.suppress(Empty):
                while len(waiting) < _MOST_IN_A_COMMIT:
                    waiting.append(self._queue.get_nowait())
            is_open = None not in waiting
            jobs = [job for job in waiting if job is not None and job.begun.acquire(blocking=False)]
            if not jobs:
                continue
            self._commit(jobs)
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._deliver, jobs)

    def _deliver(self, jobs: list[_Job]) -> None:
        if any(isinstance(job.outcome, outcome.Value) for job in jobs):
            self._committed()
        for job in jobs:
            trio.lowlevel.reschedule(job.task, job.outcome)

    def _commit(self, jobs: list[_Job]) -> None:
        """Give every job its outcome: together if that works, else each in a commit of its own.

        A full disk or a foreign key that is checked at the commit fails the whole of it; by itself
        each job then gets what is its own. That the file is locked or gone is everybody's trouble,
        and is not waited for once for each.
        """
        error = self._begin() or self._together(jobs)
        if error is None:
            return
        if len(jobs) > 1 and self._gone is None and not isinstance(error, apsw.BusyError):
            for job in jobs:
                self._commit([job])
            return
        for job in jobs:
            job.outcome = outcome.Error(self._explained(error))

    def _begin(self) -> Exception | None:
        if self._gone is not None:
            return Unavailable(self._gone, retryable=False)
        try:
            self._connection.execute("begin immediate")
        except apsw.Error as error:
            return error
        return None

    def _together(self, jobs: list[_Job]) -> Exception | None:
        """Run *jobs* in the transaction that has begun; return why nothing was kept, if so."""
        connection = self._connection
        try:
            for job in jobs:
                self._one(job)
            connection.execute("commit")
            self._see_the_files()
        except Exception as error:
            if connection.in_transaction:
                with contextlib.suppress(apsw.Error):
                    connection.execute("rollback")
            return error
        return None

    def _one(self, job: _Job) -> None:
        """Run one job in a savepoint.

        Raises:
            Exception: SQLite has given up the whole transaction, not only this part of it.
        """
        connection = self._connection
        connection.execute("savepoint job")
        try:
            job.outcome = outcome.Value(job.transaction(connection))
        except Exception as error:
            if not connection.in_transaction:
                raise
            job.outcome = outcome.Error(self._explained(error))
            connection.execute("rollback to job")
        except BaseException as error:
            # Not an answer, and not ours to swallow either: it belongs to whoever asked.
            job.outcome = outcome.Error(error)
            connection.execute("rollback to job")
        connection.execute("release job")

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, apsw.Error):
            told = explained(error, self._path)
            told.__cause__ = error
            return told
        return error

    def _see_the_files(self) -> None:
        """Make sure that what was committed is in the file of that name, not in one without a name.

        SQLite goes on writing happily to a file that somebody has removed or replaced.
        """
        if [_identity(self._path), _identity(_wal(self._path))] != self._files:
            self._gone = (
                f"{self._path} (or its -wal) was removed or replaced while the node was running: "
                f"nothing is kept any more; stop the node, and put the file or a backup back"
            )
            raise Unavailable(self._gone, retryable=False)


def _wal(path: Path) -> str:
    return f"{path}-wal"


def _identity(path: Path | str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
