"""Actor: a running service. One task serves its mailbox; concurrent handlers run beside it."""

import math
import secrets
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import structlog
import trio

from alknet.call.context import Context
from alknet.call.invocation import Invocation
from alknet.call.operation import operation_type
from alknet.call.registry import Entry
from alknet.errors import CallError, DeadlineExceeded, Internal, ServiceFailed, Unavailable
from alknet.runtime.mailbox import Mailbox
from alknet.runtime.service import Handler, Service

log = structlog.get_logger("alknet.runtime")

# How many exclusive calls are served before other tasks get a turn: at some microseconds a call,
# 64 keep every other task's delay below a millisecond.
_TURN = 64


class Actor:
    """A service, its mailbox, and the tasks that answer its requests."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.name = service.namespace
        self.mailbox = Mailbox(self.name, service.mailbox_size)
        self.is_serving = False
        self.nursery: trio.Nursery | None = None
        self.busy = 0
        self._idle = trio.lowlevel.ParkingLot()

    def entries(self) -> Iterator[Entry]:
        """Yield what to register so that this actor is asked."""
        for handler in self.service.handlers:
            typed = operation_type(handler.request_type)
            endpoint = HandlerEndpoint(self, handler)
            yield Entry(
                typed.spec,
                endpoint,
                input=typed.input,
                output=typed.output,
                request_type=handler.request_type,
            )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; `started` once requests are taken.

        Whatever waits or runs when this ends, for whatever reason, is failed with Unavailable.
        """
        try:
            async with self.service.running(), trio.open_nursery() as nursery:
                self.nursery = nursery
                self.is_serving = True
                task_status.started()
                await self._serve()
        finally:
            self.is_serving = False
            self.nursery = None
            self.mailbox.close(self.gone())

    async def drain(self) -> None:
        """Take no more requests, and return when those taken have been answered."""
        self.is_serving = False
        while self.busy or len(self.mailbox):
            await self._idle.park()

    def gone(self) -> Unavailable:
        """Return the error for a request that this actor will not answer."""
        return Unavailable(f"the service {self.name!r} is not running; it may be restarting")

    def finished(self) -> None:
        """Note that one call less is being answered."""
        self.busy -= 1
        if not self.is_serving and not self.busy:
            self._idle.unpark_all()

    async def _serve(self) -> None:
        mailbox = self.mailbox
        while True:
            letters = await mailbox.take()
            self.busy += len(letters)
            served = 0
            try:
                while letters:
                    invocation, endpoint = letters[0]
                    if not invocation.is_over:
                        await endpoint.run(invocation)
                    letters.popleft()
                    self.busy -= 1
                    served += 1
                    if served % _TURN == 0:
                        await trio.lowlevel.checkpoint()
            finally:
                self.busy -= len(letters)
                for invocation, _ in letters:
                    invocation.fail(self.gone())
            if not self.is_serving:
                self._idle.unpark_all()


class HandlerEndpoint:
    """One handler of one actor."""

    __slots__ = ("actor", "handler", "is_inline", "uses")

    def __init__(self, actor: Actor, handler: Handler) -> None:
        self.actor = actor
        self.handler = handler
        self.uses = handler.uses
        self.is_inline = handler.concurrent and not handler.is_stream

    def submit(self, invocation: Invocation) -> None:
        """Have the call answered: by the actor's task, by a task of its own, or at once."""
        actor, handler = self.actor, self.handler
        if not actor.is_serving or actor.nursery is None:
            invocation.fail(actor.gone())
        elif handler.is_stream or (handler.concurrent and handler.is_async):
            actor.busy += 1
            actor.nursery.start_soon(self._beside, invocation, name=invocation.entry.spec.name)
        elif handler.concurrent:
            self._at_once(invocation)
        else:
            actor.mailbox.put(invocation, self)

    async def answer(self, request: Any, context: Context) -> Any:
        """Run the handler in the calling task.

        Its cancellation is the caller's. A service that stops waits for it until its drain ends,
        and then closes what the handler was using.
        """
        actor, handler = self.actor, self.handler
        if not actor.is_serving:
            raise actor.gone()
        actor.busy += 1
        try:
            result = self._call(request, context)
            return await result if handler.is_async else result
        except CallError:
            raise
        except Exception as error:
            raise fault(error, context) from error
        finally:
            actor.finished()

    def _call(self, request: Any, context: Context) -> Any:
        handler = self.handler
        if handler.wants_context:
            return handler.function(self.actor.service, request, context)
        return handler.function(self.actor.service, request)

    def _at_once(self, invocation: Invocation) -> None:
        try:
            invocation.respond(self._call(invocation.request, invocation.context))
        except Exception as error:
            invocation.fail(_outcome(error, invocation.context))

    async def run(self, invocation: Invocation) -> None:
        """Run the handler to the invocation's one outcome; raises only what ends the service."""
        deadline = invocation.deadline
        with trio.CancelScope(deadline=deadline) as scope:
            invocation.scope = scope
            try:
                if self.handler.is_stream:
                    await self._stream(invocation)
                else:
                    result = self._call(invocation.request, invocation.context)
                    invocation.respond(await result if self.handler.is_async else result)
            except Exception as error:
                invocation.fail(_outcome(error, invocation.context))
                if isinstance(error, ServiceFailed):
                    raise
            except BaseException:
                if not scope.cancel_called:
                    invocation.fail(self.actor.gone())
                raise
        if deadline != math.inf and not invocation.is_over:
            name = invocation.entry.spec.name
            invocation.fail(DeadlineExceeded(f"{name} was not done by its deadline"))

    async def _stream(self, invocation: Invocation) -> None:
        async with aclosing(self._call(invocation.request, invocation.context)) as items:
            async for item in items:
                await invocation.send(item)
        invocation.complete()

    async def _beside(self, invocation: Invocation) -> None:
        try:
            await self.run(invocation)
        finally:
            self.actor.finished()


def _outcome(error: Exception, context: Context) -> CallError:
    return error if isinstance(error, CallError) else fault(error, context)


def fault(error: Exception, context: Context) -> Internal:
    """Log *error*, and return what the caller is told: that it is our fault, and the log's id."""
    correlation = secrets.token_hex(4)
    log.error(
        "handler failed",
        operation=context.entry.spec.name,
        request_id=context.request_id,
        parent_id=context.parent_id,
        caller=context.identity.id if context.identity else None,
        correlation=correlation,
        exc_info=error,
    )
    return Internal(
        f"{context.entry.spec.name} failed; the log of its node has the cause under {correlation}"
    )
