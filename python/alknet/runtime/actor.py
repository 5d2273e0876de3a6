"""Actor: a running service. One task serves its mailbox; concurrent handlers run beside it."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from types import MethodType
from typing import Any

import trio

from alknet.call.invocation import Entry
from alknet.call.operation import operation_type
from alknet.errors import ServiceFailed
from alknet.runtime.continuing import ContinuingEndpoint
from alknet.runtime.deadline import by, is_late, late
from alknet.runtime.endpoint import HandlerEndpoint
from alknet.runtime.manner import Manner
from alknet.runtime.operation import Operation
from alknet.runtime.outcome import outcome
from alknet.runtime.promise import Promise
from alknet.runtime.service import Handler, Service
from alknet.runtime.workload import Workload

# How many exclusive calls are served before other tasks get a turn: at some microseconds a call,
# 64 keep every other task's delay below a millisecond.
_TURN = 64


class Actor:
    """A service, what it has to do, and the tasks that answer its requests.

    If it *is_strict*, a call fails whose answer is not what the operation promises. Otherwise of
    typed operations, whose handlers are held to their annotations already, some answers are looked
    at, so that most calls pay nothing: the first, and the next one after each `sample`.
    """

    def __init__(self, service: Service, *, is_strict: bool = False) -> None:
        self.service = service
        self._is_strict = is_strict
        self.name = service.namespace
        self.work = Workload(self.name, service.mailbox_size)
        self._samples: list[Callable[[], None]] = []

    def entries(self) -> Iterator[Entry]:
        """Yield what to register so that this actor is asked."""
        for handler in self.service.handlers:
            yield self._typed(handler)
        for operation in self.service.operations:
            yield self.made(operation)

    def _typed(self, handler: Handler) -> Entry:
        typed = operation_type(handler.request_type)
        method = MethodType(handler.function, self.service)
        endpoint = self._endpoint(handler, method)
        entry = Entry(
            typed.spec,
            endpoint,
            input=typed.input,
            output=typed.output,
            item=typed.item,
            request_type=handler.request_type,
        )
        promise = Promise(entry, made_by_hand=False, is_strict=self._is_strict)
        if self._is_strict:
            endpoint.method = promise.held(handler, method)
        elif not (handler.is_stream or typed.spec.confidential):
            # A stream may go on for days, and a secret should be written nowhere without need.
            restore = partial(setattr, endpoint, "method", method)
            once = promise.held_once(handler, method, restore)
            self._samples.append(partial(setattr, endpoint, "method", once))
            endpoint.method = once
        return entry

    def sample(self) -> None:
        """Have the next answer of each typed operation looked at."""
        for look in self._samples:
            look()

    def made(self, operation: Operation) -> Entry:
        """Return what to register so that this actor is asked for *operation*."""
        endpoint = self._endpoint(operation.manner, operation.handler)
        entry = Entry(
            operation.spec,
            endpoint,
            input=operation.input,
            output=operation.output,
            item=operation.item,
        )
        promise = Promise(entry, made_by_hand=True, is_strict=self._is_strict)
        endpoint.method = promise.held(operation.manner, operation.handler)
        return entry

    def _endpoint(self, manner: Manner, method: Callable[..., Any]) -> HandlerEndpoint:
        kind = ContinuingEndpoint if manner.continues else HandlerEndpoint
        return kind(self.service, manner, method, self.work)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `started` once requests are taken.

        Whatever waits or runs when this ends, for whatever reason, is failed with Unavailable.
        """
        async with self.service.running(), trio.open_nursery() as nursery:
            self.work.open(nursery)
            task_status.started()
            try:
                await self._serve()
            finally:
                # Before the nursery closes, and not when `running` has let go of what it holds: a
                # call that comes in between would find a service that takes it and nobody there.
                self.work.close()

    async def _serve(self) -> None:
        """Serve the mailbox, one exclusive call after the other, until cancelled."""
        work = self.work
        while True:
            # One scope serves many calls: making one for each would cost as much as the rest of a
            # call. It is used up only when a call that has begun is given up or is late.
            with trio.CancelScope() as scope:
                await self._serve_within(scope)
            current = work.current
            if current is not None:
                work.ended(current)
                if not current.is_over:
                    current.fail(late(current))

    async def _serve_within(self, scope: trio.CancelScope) -> None:
        """Serve until *scope* is cancelled for the call that is current then."""
        work = self.work
        served = 0
        while True:
            if not work.taken:
                work.taken = await work.mailbox.take()
                work.busy += len(work.taken)
            invocation = work.taken.popleft()
            if invocation.is_over or (invocation.deadline != math.inf and is_late(invocation)):
                work.settled()
                continue
            work.current = invocation
            invocation.scope = scope
            # Only calls of our own handlers come into our mailbox. (A `cast` costs a call.)
            endpoint: HandlerEndpoint = invocation.entry.endpoint  # type: ignore[assignment]
            try:
                answer = endpoint.call(invocation)
                if endpoint.is_async:
                    if invocation.deadline == math.inf:
                        answer = await answer
                    else:
                        answer = await by(invocation.deadline, scope, answer)
            except Exception as error:
                work.ended(invocation)
                invocation.fail(outcome(error, invocation.entry.spec, invocation.facts))
                if isinstance(error, ServiceFailed):
                    raise
            else:
                work.ended(invocation)
                try:
                    invocation.respond(answer)
                except Exception as error:
                    # What was answered cannot be written to the caller's link.
                    invocation.fail(outcome(error, invocation.entry.spec, invocation.facts))
            if scope.cancel_called:
                return
            served += 1
            if served % _TURN == 0:
                await trio.lowlevel.checkpoint()
