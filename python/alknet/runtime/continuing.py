"""ContinuingEndpoint: a handler that, once begun, goes on when its call is given up."""

from collections.abc import Callable, Coroutine
from typing import Any

import trio

from alknet.call.continuations import went_on
from alknet.call.invocation import Invocation
from alknet.call.measure import code_of
from alknet.errors import Unavailable
from alknet.runtime.deadline import late
from alknet.runtime.endpoint import HandlerEndpoint
from alknet.runtime.manner import Manner
from alknet.runtime.service import Service
from alknet.runtime.workload import Workload


class ContinuingEndpoint(HandlerEndpoint):
    """A handler with `on_abort="continue-running"`.

    A caller who leaves, or whose link is lost, does not cancel it; its call's deadline does, and so
    does the end of the service, which waits for it as for any other until its drain is over. What
    comes of it then stands in the log. A call that is given up before its turn never begins.

    At most as many as the service's mailbox holds run at once: a caller who asks and leaves over
    and over must not fill the memory.
    """

    __slots__ = ("_running",)

    def __init__(
        self, service: Service, handler: Manner, method: Callable[..., Any], work: Workload
    ) -> None:
        super().__init__(service, handler, method, work)
        # A caller's task is cancelled with its caller.
        self.is_inline = self.is_inline and not self.is_async
        # For the deadline of a caller in this process, whose scope it outlives.
        self.wants_context = True
        self._running = 0

    def submit(self, invocation: Invocation) -> None:
        if self._running >= self.service.mailbox_size:
            invocation.fail(
                Unavailable(
                    f"{invocation.entry.spec.name} is being carried out {self._running} times, "
                    f"which is the most; try again later"
                )
            )
        else:
            super().submit(invocation)

    def call(self, invocation: Invocation) -> Any:
        answer = super().call(invocation)
        if not self.is_async:
            return answer
        # What is not there cannot be cancelled by a caller who leaves.
        invocation.scope = None
        return self._to_its_end(invocation, answer)

    async def _to_its_end(self, invocation: Invocation, answer: Coroutine[Any, Any, Any]) -> Any:
        code = "OK"
        scope = trio.CancelScope(deadline=invocation.context.deadline)
        self._running += 1
        try:
            with scope:
                return await answer
            raise late(invocation)
        except BaseException as error:
            code = late(invocation).code if scope.cancelled_caught else code_of(error)
            raise
        finally:
            self._running -= 1
            if invocation.is_over:
                went_on(invocation.entry.spec.name, invocation.context.request_id, code)
