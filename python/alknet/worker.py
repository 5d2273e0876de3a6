"""The worker's part: it does the tasks that its head hands out, and says how it fares.

async with connect(url, identity=key, services=[Pulse()], reconnect=True) as client:
    await work(client, {"resize": resize}, slots=4)
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
import structlog
import trio

from alknet.call.backoff import backoff
from alknet.call.client import Client
from alknet.call.context import Context
from alknet.errors import (
    CallError,
    Conflict,
    DeadlineExceeded,
    Disconnected,
    InvalidInput,
    LocalProtocolError,
    NotFound,
    Unavailable,
    traced,
)
from alknet.protocol.request import Request
from alknet.protocol.task import Assignment, ExtendTask, SubmitTask, TakeTasks, Task
from alknet.protocol.worker import Heartbeat, Heartbeats
from alknet.runtime.background import open_background
from alknet.runtime.heart import Heart
from alknet.runtime.service import Service, handler

log = structlog.get_logger("alknet.worker")

Doer = Callable[[Any], Awaitable[Any]]

# How often within its lease a worker says that it is still at it.
_WORDS_A_LEASE: Final = 3


class Pulse(Service, namespace="worker"):
    """Tells whoever asks how this worker fares; give it to `connect` as one of its services."""

    def __init__(self) -> None:
        self._heart = Heart()

    @handler(endless=True)
    async def heartbeat(self, request: Heartbeats, context: Context) -> AsyncIterator[Heartbeat]:
        while True:
            yield self._heart.beat(context)
            await trio.sleep(request.interval)


async def work(client: Client, doers: Mapping[str, Doer], *, slots: int = 1) -> None:
    """Do tasks of the templates in *doers*, at most *slots* at a time, until cancelled.

    A doer is awaited with the task's input, and what it returns is the output. A CallError that it
    raises is the task's error, and is tried again if it is `retryable`; anything else that it
    raises is a fault of the doer's, which is logged, and tried again elsewhere. One whose task has
    been handed to somebody else, or is past its deadline, is cancelled. A task may come twice.

    If the link is lost and *client* reconnects, doers go on, and what they return is submitted
    then.

    Raises:
        Disconnected: the link is lost, and *client* does not reconnect.
        CallError: we may not take tasks, or the head keeps none.
    """
    await _Worker(client, doers, slots).run()


class _Worker:
    def __init__(self, client: Client, doers: Mapping[str, Doer], slots: int) -> None:
        self._client = client
        self._doers = doers
        self._slots = slots
        self._limiter = trio.CapacityLimiter(slots)
        self._in_hand: dict[str, tuple[Assignment, trio.CancelScope]] = {}

    async def run(self) -> None:
        """Take tasks, and take them again when the subscription has broken off."""
        request = TakeTasks(tuple(self._doers), self._slots)
        failures = 0
        async with open_background() as nursery:
            while True:
                async with self._client.stream(request, window=self._slots) as assignments:
                    try:
                        async for assignment in assignments:
                            failures = 0
                            nursery.start_soon(self._do, assignment)
                    except Unavailable as error:
                        log.info("no tasks for now", why=str(error))
                failures += 1
                await trio.sleep(backoff(failures))
                # First, or we would be handed what we have, as what its worker has left.
                for each, scope in list(self._in_hand.values()):
                    await self._extend(each, scope)

    async def _do(self, assignment: Assignment) -> None:
        """Do one task and submit what comes of it."""
        left = None if assignment.deadline is None else assignment.deadline - time.time()
        with trio.CancelScope() as scope:
            if left is not None:
                scope.deadline = trio.current_time() + left
            self._in_hand[assignment.task] = assignment, scope
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._hold, assignment, scope)
                    async with self._limiter:
                        outcome = await self._outcome(assignment)
                    await self._submit(outcome, scope)
                    nursery.cancel_scope.cancel()
            finally:
                if self._in_hand.get(assignment.task) == (assignment, scope):
                    del self._in_hand[assignment.task]

    async def _outcome(self, assignment: Assignment) -> SubmitTask:
        task, attempt = assignment.task, assignment.attempt
        try:
            output = msgspec.to_builtins(await self._doers[assignment.template](assignment.input))
        except CallError as error:
            return SubmitTask(task, attempt, error=error.message, retryable=error.retryable)
        except Exception as error:
            log.error("task failed", task=task, attempt=attempt, cause=traced(error))
            words = f"{type(error).__name__} in the worker, whose log has more under the task's id"
            return SubmitTask(task, attempt, error=words, retryable=True)
        return SubmitTask(task, attempt, output=output)

    async def _submit(self, outcome: SubmitTask, scope: trio.CancelScope) -> None:
        try:
            await self._ask(outcome, scope)
        except (InvalidInput, LocalProtocolError) as error:
            # Its output is nothing that can be kept, and would be none another time.
            why = f"its output cannot be submitted: {error}"
            await self._ask(SubmitTask(outcome.task, outcome.attempt, error=why), scope)

    async def _hold(self, assignment: Assignment, scope: trio.CancelScope) -> None:
        """Say that we are at it, now and then."""
        while True:
            await self._extend(assignment, scope)
            await trio.sleep(assignment.lease / _WORDS_A_LEASE)

    async def _extend(self, assignment: Assignment, scope: trio.CancelScope) -> None:
        await self._ask(ExtendTask(assignment.task, assignment.attempt), scope)

    async def _ask(self, request: Request[Task], scope: trio.CancelScope) -> None:
        """Ask the head until it answers; drop the task if it is not ours any more."""
        failures = 0
        while True:
            try:
                await self._client.call(request)
            except (Conflict, NotFound) as error:
                log.info("task dropped", why=str(error))
                scope.cancel(reason="the task is not ours any more")
                return
            except (Unavailable, DeadlineExceeded) as error:
                if isinstance(error, Disconnected) and not self._client.reconnects:
                    # For good: `run` finds out by itself, and says so.
                    scope.cancel(reason="the link is lost")
                    return
                failures += 1
                log.info("the head does not answer", why=str(error))
                await trio.sleep(backoff(failures))
            else:
                return
