"""The consumer of a queue: takes jobs as they become due, and does a few at a time.

A job is done at least once: its claim is extended while it is worked on, and given back when the
consumer stops; after a crash the claim expires, and the next consumer has the job. What its work
leaves in the database is written with the acknowledgement, in one transaction, and so exactly once.
Work that fails is tried again after a pause, and lies among the dead after its last attempt.
"""

import os
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import apsw
import structlog
import trio

from alknet.errors import AlknetError, Conflict, Unavailable
from alknet.store import queue
from alknet.store.database import Database
from alknet.store.queue import Job
from alknet.store.writer import Transaction

log = structlog.get_logger("alknet.queue")

# Does the job; what it returns is written with the acknowledgement.
Work = Callable[[Job], Awaitable[Transaction[Any] | None]]

CONCURRENCY: Final = 8
# A clock may be set while we sleep, in either direction.
_LONGEST_SLEEP: Final = 5.0
# How long to leave a database alone that refuses: a full disk may have room again.
_REFUSED_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 300
# How many times a claim is extended before it would have expired.
_EXTENSIONS: Final = 3


class Hopeless(AlknetError):
    """Raised by work that need not be tried again: the job is buried, with this as the reason."""


class _Failed(Exception):
    """The work on a job, or what it was to leave behind, has failed with `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Consumer:
    """Works on the jobs of *name* in *database* with *work*, at most *concurrency* at a time.

    *visibility* is for how many seconds a job is claimed at a time, and so how long it lies after
    a crash. Several consumers of a queue share its jobs.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        work: Work,
        *,
        concurrency: int = CONCURRENCY,
        visibility: int = queue.VISIBILITY_SECONDS,
    ) -> None:
        self._database = database
        self._name = name
        self._work = work
        self._visibility = visibility
        self._concurrency = concurrency
        self._busy = 0
        self._slot = trio.Event()
        # No two consumers, of this or of another life, go by one name.
        self._worker = f"{os.getpid()}-{secrets.token_hex(4)}"

    async def run(self) -> None:
        """Work until cancelled; what is being worked on is then given back.

        For a nursery of the service that owns the queue. A job's error is its own; one of the
        database is waited out.
        """
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    for job in await self._claimed():
                        self._busy += 1
                        nursery.start_soon(self._do, job)
                except Unavailable as error:
                    log.warning("queue not read", queue=self._name, why=str(error))
                    await trio.sleep(_REFUSED_SECONDS)

    async def _claimed(self) -> list[Job]:
        """Return jobs that are due, at least one, as many as there is room for."""
        while self._busy >= self._concurrency:
            self._slot = trio.Event()
            await self._slot.wait()
        await self._due()
        claim = partial(
            queue.claim,
            queue=self._name,
            worker=self._worker,
            limit=self._concurrency - self._busy,
            visibility=self._visibility,
        )
        # Whoever is cancelled in here has claimed nothing, or is told what, and gives it back.
        return await self._database.write(claim)

    async def _due(self) -> None:
        """Return when there may be a job: others' commits are looked at, but cost no write."""
        while True:
            at = self._database.look(partial(queue.next_due, queue=self._name))
            now = time.time()
            if at is not None and at <= now:
                return
            pause = _LONGEST_SLEEP if at is None else min(at - now, _LONGEST_SLEEP)
            with trio.move_on_after(pause):
                await self._database.committed()

    async def _do(self, job: Job) -> None:
        try:
            await self._attempt(job)
        except Unavailable as error:
            # The claim expires by itself, and somebody has the job again.
            log.warning("job not finished", queue=self._name, job=job.id, why=str(error))
        except Conflict:
            log.warning("job lost", queue=self._name, job=job.id, attempts=job.attempts)
        finally:
            self._busy -= 1
            self._slot.set()

    async def _attempt(self, job: Job) -> None:
        """Do *job* under its claim, and write down what came of it.

        Raises:
            Conflict: somebody else has the job by now.
            Unavailable: the database cannot be written.
        """
        write = self._database.write
        try:
            effect = await self._worked(job)
            await write(partial(_finish, job=job, effect=effect))
        except _Failed as failed:
            reason = _reason(failed.cause)
            log.warning(
                "job failed", queue=self._name, job=job.id, attempts=job.attempts, why=reason
            )
            if isinstance(failed.cause, Hopeless):
                await write(partial(queue.bury, job=job, error=reason))
            else:
                pause = min(2 ** (job.attempts - 1), _LONGEST_PAUSE)
                await write(partial(queue.retry, job=job, error=reason, delay=pause))

    async def _worked(self, job: Job) -> Transaction[Any] | None:
        """Return what the work on *job* returns, while its claim is kept.

        Raises:
            _Failed: the work has failed.
        """
        effect: Transaction[Any] | None = None
        failure: Exception | None = None
        is_over = False
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_claimed, job, nursery.cancel_scope)
                try:
                    effect = await self._work(job)
                except Exception as error:
                    failure = error
                nursery.cancel_scope.cancel()
            is_over = True
        finally:
            if not is_over:
                with trio.CancelScope(shield=True), suppress(Unavailable):
                    await self._database.write(partial(queue.release, job=job))
        if failure is not None:
            raise _Failed(failure)
        return effect

    async def _keep_claimed(self, job: Job, working: trio.CancelScope) -> None:
        """Extend the claim again and again; stop the work if somebody else has the job."""
        while True:
            await trio.sleep(self._visibility / _EXTENSIONS)
            try:
                await self._database.write(
                    partial(queue.extend, job=job, visibility=self._visibility)
                )
            except Conflict:
                working.cancel(reason="the claim is lost")
                return
            except Unavailable as error:
                log.warning("claim not extended", queue=self._name, job=job.id, why=str(error))


def _finish(connection: apsw.Connection, job: Job, effect: Transaction[Any] | None) -> None:
    queue.acknowledge(connection, job)
    if effect is not None:
        try:
            effect(connection)
        except Exception as error:
            raise _Failed(error) from error


def _reason(error: Exception) -> str:
    """Return what is kept of *error*: words of ours; those of others could hold anything."""
    return str(error) if isinstance(error, AlknetError) else type(error).__name__
