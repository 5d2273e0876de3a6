"""HandlerEndpoint: one handler of a service, and the task that each of its calls runs in.

An exclusive call goes through the actor's mailbox. A concurrent one runs in a task of its own, or,
if it comes from this process and wants one answer, in its caller's.
"""

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import trio

from alknet.call import trace
from alknet.call.context import Context
from alknet.call.invocation import ContextSource, Entry, Invocation
from alknet.call.trace import Span
from alknet.errors import CallError, ServiceFailed
from alknet.runtime.deadline import is_late, late
from alknet.runtime.manner import Manner
from alknet.runtime.outcome import outcome
from alknet.runtime.service import Service
from alknet.runtime.workload import Workload


class HandlerEndpoint:
    """One *handler* of *service*, called by *method*; its calls are part of its *work*."""

    __slots__ = (
        "declared",
        "handler",
        "is_async",
        "is_exclusive",
        "is_inline",
        "method",
        "service",
        "wants_context",
        "wants_more",
        "work",
    )

    def __init__(
        self, service: Service, handler: Manner, method: Callable[..., Any], work: Workload
    ) -> None:
        self.service = service
        self.handler = handler
        self.work = work
        self.method = method
        self.declared = handler.declared
        self.is_async = handler.is_async
        self.is_exclusive = not (handler.concurrent or handler.is_stream)
        # An upload's items come while its handler runs, so that it cannot run in the caller's task.
        self.is_inline = handler.concurrent and not (handler.is_stream or handler.takes_items)
        self.wants_context = handler.wants_context
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
        work = self.work
        if not work.is_serving or work.nursery is None:
            invocation.fail(work.gone())
        elif self.is_exclusive:
            work.mailbox.put(invocation)
        elif self.is_async or self.handler.is_stream:
            work.busy += 1
            work.nursery.start_soon(self._beside, invocation, name=invocation.entry.spec.name)
        else:
            self._at_once(invocation)

    async def answer(self, entry: Entry, request: Any, source: ContextSource) -> Any:
        """Run the handler in the calling task.

        Its cancellation is the caller's. A service that stops waits for it until its drain ends,
        and then closes what the handler was using.
        """
        work = self.work
        if not work.is_serving:
            raise work.gone()
        work.busy += 1
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
                work.crash(error)
            told = _told(error, entry, context or source.context(entry))
            if told is error:
                raise
            raise told from error
        finally:
            work.settled()

    def _at_once(self, invocation: Invocation) -> None:
        """Run the handler, which never waits, in the task that the call came by."""
        try:
            invocation.respond(self.call(invocation))
        except Exception as error:
            invocation.fail(outcome(error, invocation.entry.spec, invocation.facts))
            if isinstance(error, ServiceFailed):
                self.work.crash(error)

    async def _beside(self, invocation: Invocation) -> None:
        """Run the handler in a task of its own; raises only what ends the service."""
        work = self.work
        try:
            # The caller may have left, or be late, before this task had its first turn.
            if invocation.is_over or is_late(invocation):
                return
            with trio.CancelScope(deadline=invocation.deadline) as scope:
                invocation.scope = scope
                if self.handler.endless:
                    work.endless.add(invocation)
                try:
                    await self._run(invocation)
                finally:
                    invocation.scope = None
                    work.endless.discard(invocation)
            if scope.cancelled_caught:
                invocation.fail(late(invocation))
        finally:
            invocation.fail(work.gone())
            work.settled()

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
            invocation.fail(outcome(error, invocation.entry.spec, invocation.facts))
            if isinstance(error, ServiceFailed):
                raise


def _told(error: Exception, entry: Entry, context: Context) -> CallError:
    # Not where it is used: what a closure takes is slower there for every call.
    return outcome(error, entry.spec, context.facts)
