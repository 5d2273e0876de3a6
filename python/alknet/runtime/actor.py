"""Actor: a running service. One task serves its mailbox; concurrent handlers run beside it."""

import math
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import aclosing
from types import MethodType
from typing import Any

import trio

from alknet.call import trace
from alknet.call.invocation import ContextSource, Entry, Invocation
from alknet.call.operation import operation_type
from alknet.call.trace import Span
from alknet.errors import CallError, DeadlineExceeded, ServiceFailed, Unavailable
from alknet.protocol.stats import State
from alknet.runtime.mailbox import Mailbox
from alknet.runtime.manner import Manner
from alknet.runtime.operation import Operation
from alknet.runtime.outcome import outcome
from alknet.runtime.promise import Promise
from alknet.runtime.service import Handler, Service

# How many exclusive calls are served before other tasks get a turn: at some microseconds a call,
# 64 keep every other task's delay below a millisecond.
_TURN = 64


class Actor:
    """A service, its mailbox, and the tasks that answer its requests.

    If it *is_strict*, a call fails whose answer is not what the operation promises.
    """

    def __init__(self, service: Service, *, is_strict: bool = False) -> None:
        self.service = service
        self._is_strict = is_strict
        self.name = service.namespace
        self.mailbox = Mailbox(self.name, service.mailbox_size)
        self.is_serving = False
        self.is_draining = False
        self.nursery: trio.Nursery | None = None
        self.busy = 0
        self._taken: deque[Invocation] = deque()
        self._current: Invocation | None = None
        self._idle = trio.lowlevel.ParkingLot()

    def entries(self) -> Iterator[Entry]:
        """Yield what to register so that this actor is asked."""
        for handler in self.service.handlers:
            yield self._typed(handler)
        for operation in self.service.operations:
            yield self.made(operation)

    def _typed(self, handler: Handler) -> Entry:
        typed = operation_type(handler.request_type)
        method = MethodType(handler.function, self.service)
        endpoint = HandlerEndpoint(self, handler, method)
        entry = Entry(
            typed.spec,
            endpoint,
            input=typed.input,
            output=typed.output,
            item=typed.item,
            request_type=handler.request_type,
        )
        if self._is_strict:
            promise = Promise(entry, made_by_hand=False, is_strict=True)
            endpoint.method = promise.held(handler, method)
        return entry

    def made(self, operation: Operation) -> Entry:
        """Return what to register so that this actor is asked for *operation*."""
        endpoint = HandlerEndpoint(self, operation.manner, operation.handler)
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

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `started` once requests are taken.

        Whatever waits or runs when this ends, for whatever reason, is failed with Unavailable.
        """
        async with self.service.running(), trio.open_nursery() as nursery:
            self.nursery = nursery
            self.is_serving = True
            self.is_draining = False
            task_status.started()
            try:
                await self._serve()
            finally:
                # Before the nursery closes, and not when `running` has let go of what it holds: a
                # call that comes in between would find a service that takes it and nobody there.
                self._abandon_all()

    @property
    def state(self) -> State:
        """Whether it takes requests, only finishes those taken, or does neither."""
        if self.is_serving:
            return "serving"
        return "draining" if self.is_draining and self.nursery is not None else "down"

    @property
    def waiting(self) -> int:
        """How many calls wait for it, those that their callers gave up among them."""
        return len(self.mailbox) + len(self._taken)

    @property
    def current(self) -> Invocation | None:
        """The call whose handler keeps others waiting now, if there is one."""
        return self._current

    async def drain(self) -> None:
        """Take no more requests, and return when those taken have been answered."""
        self.is_serving = False
        self.is_draining = True
        while self.busy or len(self.mailbox):
            await self._idle.park()

    def gone(self) -> Unavailable:
        """Return the error for a request that this actor will not answer."""
        return Unavailable(f"the service {self.name!r} is not running; it may be restarting")

    def settled(self) -> None:
        """Let `drain` look again: a call less is being answered."""
        self._idle.unpark_all()

    def crash(self, error: ServiceFailed) -> None:
        """End this life with *error*, which a handler has raised in somebody else's task."""
        if self.nursery is not None:
            self.nursery.start_soon(_raise, error, name=f"the end of {self.name}")

    def _abandon_all(self) -> None:
        """Take no more, and fail what has been taken or waits, since nobody will serve it."""
        self.is_serving = False
        self.nursery = None
        if self._current is not None:
            current = self._current
            self._end(current)
            current.fail(self.gone())
        while self._taken:
            self.busy -= 1
            self._taken.popleft().fail(self.gone())
        self.mailbox.close(self.gone)
        self._idle.unpark_all()

    async def _serve(self) -> None:
        """Serve the mailbox, one exclusive call after the other, until cancelled."""
        while True:
            # One scope serves many calls: making one for each would cost as much as the rest of a
            # call. It is used up only when a call that has begun is given up or is late.
            with trio.CancelScope() as scope:
                await self._serve_within(scope)
            current = self._current
            if current is not None:
                self._end(current)
                if not current.is_over:
                    current.fail(late(current))

    async def _serve_within(self, scope: trio.CancelScope) -> None:
        """Serve until *scope* is cancelled for the call in `_current`; `_taken` holds the rest."""
        served = 0
        while True:
            if not self._taken:
                if self.is_draining:
                    self.settled()
                self._taken = await self.mailbox.take()
                self.busy += len(self._taken)
            invocation = self._taken.popleft()
            if invocation.is_over or _is_late(invocation):
                self.busy -= 1
                continue
            self._current = invocation
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
                self._end(invocation)
                invocation.fail(_outcome(error, invocation))
                if isinstance(error, ServiceFailed):
                    raise
            else:
                self._end(invocation)
                try:
                    invocation.respond(answer)
                except Exception as error:
                    # What was answered cannot be written to the caller's link.
                    invocation.fail(_outcome(error, invocation))
            if scope.cancel_called:
                return
            served += 1
            if served % _TURN == 0:
                await trio.lowlevel.checkpoint()

    def _end(self, invocation: Invocation) -> None:
        """Note that the handler of *invocation* runs no more: a late cancel must reach no other."""
        invocation.scope = None
        self._current = None
        self.busy -= 1


class HandlerEndpoint:
    """One handler of one actor."""

    __slots__ = ("actor", "handler", "is_async", "is_inline", "method", "uses", "wants_more")

    def __init__(self, actor: Actor, handler: Manner, method: Callable[..., Any]) -> None:
        self.actor = actor
        self.handler = handler
        self.method = method
        self.uses = handler.uses
        self.is_async = handler.is_async
        # An upload's items come while its handler runs, so that it cannot run in the caller's task.
        self.is_inline = handler.concurrent and not (handler.is_stream or handler.takes_items)
        self.wants_more = handler.takes_items or handler.wants_context

    def call(self, invocation: Invocation) -> Any:
        """Call the method; what it returns is the answer, or an awaitable or generator of it."""
        span = invocation.span
        if span is None and not self.wants_more:
            return self.method(invocation.request)
        given = [invocation.request]
        if self.handler.takes_items:
            given.append(invocation.items)
        if self.handler.wants_context:
            given.append(invocation.context)
        return self.method(*given) if span is None else self._traced(span, given)

    def _traced(self, span: Span, given: list[Any]) -> Any:
        """Call the method with *span* active for as long as it runs."""
        with span.active():
            answer = self.method(*given)
        if self.handler.is_stream:
            return trace.iterated(span, answer)
        return trace.awaited(span, answer) if self.is_async else answer

    def submit(self, invocation: Invocation) -> None:
        """Have the call answered: by the actor's task, by a task of its own, or at once."""
        actor, handler = self.actor, self.handler
        if not actor.is_serving or actor.nursery is None:
            invocation.fail(actor.gone())
        elif not handler.concurrent and not handler.is_stream:
            actor.mailbox.put(invocation)
        elif handler.is_async or handler.is_stream:
            actor.busy += 1
            actor.nursery.start_soon(self._beside, invocation, name=invocation.entry.spec.name)
        else:
            self._at_once(invocation)

    async def answer(self, entry: Entry, request: Any, source: ContextSource) -> Any:
        """Run the handler in the calling task.

        Its cancellation is the caller's. A service that stops waits for it until its drain ends,
        and then closes what the handler was using.
        """
        actor = self.actor
        if not actor.is_serving:
            raise actor.gone()
        actor.busy += 1
        context = None
        try:
            if self.wants_more:
                context = source.context(entry)
                result = self.method(request, context)
            else:
                result = self.method(request)
            return await result if self.is_async else result
        except Exception as error:
            if isinstance(error, ServiceFailed):
                actor.crash(error)
            told = outcome(error, entry.spec, lambda: (context or source.context(entry)).facts())
            if told is error:
                raise
            raise told from error
        finally:
            actor.busy -= 1
            if actor.is_draining:
                actor.settled()

    def _at_once(self, invocation: Invocation) -> None:
        try:
            invocation.respond(self.call(invocation))
        except Exception as error:
            invocation.fail(_outcome(error, invocation))
            if isinstance(error, ServiceFailed):
                self.actor.crash(error)

    async def _beside(self, invocation: Invocation) -> None:
        """Run the handler in a task of its own; raises only what ends the service."""
        actor = self.actor
        try:
            # The caller may have left, or be late, before this task had its first turn.
            if invocation.is_over or _is_late(invocation):
                return
            with trio.CancelScope(deadline=invocation.deadline) as scope:
                invocation.scope = scope
                try:
                    await self._run(invocation)
                finally:
                    invocation.scope = None
            if scope.cancelled_caught:
                invocation.fail(late(invocation))
        finally:
            invocation.fail(actor.gone())
            actor.busy -= 1
            if actor.is_draining:
                actor.settled()

    async def _run(self, invocation: Invocation) -> None:
        try:
            answer = self.call(invocation)
            if not self.handler.is_stream:
                invocation.respond(await answer)
                return
            async with aclosing(answer) as items:
                async for item in items:
                    await invocation.send(item)
            invocation.complete()
        except Exception as error:
            invocation.fail(_outcome(error, invocation))
            if isinstance(error, ServiceFailed):
                raise


@types.coroutine
def by(
    deadline: float, scope: trio.CancelScope, handler: Coroutine[Any, Any, Any]
) -> Generator[Any, Any, Any]:
    """Await *handler*, setting the deadline of *scope*, which is entered, if it really waits.

    Most handlers answer without waiting, and to register a deadline with Trio costs more than such
    a call does. So the handler's first step is run here, as `await` itself would, and only if it
    asks to wait is the deadline set, before Trio hears of the wait.
    """
    try:
        message = handler.send(None)
    except StopIteration as answer:
        return answer.value
    if deadline != math.inf:
        scope.deadline = deadline
    try:
        while True:
            try:
                value = yield message
            except BaseException as error:
                message = handler.throw(error)
            else:
                message = handler.send(value)
    except StopIteration as answer:
        return answer.value
    finally:
        scope.deadline = math.inf


def late(invocation: Invocation) -> DeadlineExceeded:
    """Return the error for a handler that was not done by its call's deadline."""
    return DeadlineExceeded(f"{invocation.entry.spec.name} was not done by its deadline")


def _is_late(invocation: Invocation) -> bool:
    """Tell whether the deadline has passed while the call waited, and fail it if so.

    What nobody waits for any more must not begin: it may be a payment.
    """
    if invocation.deadline == math.inf or invocation.deadline > trio.current_time():
        return False
    invocation.fail(late(invocation))
    return True


async def _raise(error: Exception) -> None:
    raise error


def _outcome(error: Exception, invocation: Invocation) -> CallError:
    return outcome(error, invocation.entry.spec, invocation.facts)
