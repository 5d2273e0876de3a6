"""Deadlines of calls that a service answers: none begins late, none runs on beyond its own."""

import math
import types
from collections.abc import Coroutine, Generator
from typing import Any

import trio

from alknet.call.invocation import Invocation
from alknet.errors import DeadlineExceeded


def late(invocation: Invocation) -> DeadlineExceeded:
    """Return the error for a handler that was not done by its call's deadline."""
    return DeadlineExceeded(f"{invocation.entry.spec.name} was not done by its deadline")


def is_late(invocation: Invocation) -> bool:
    """Tell whether the deadline has passed while the call waited, and fail it if so.

    What nobody waits for any more must not begin: it may be a payment.
    """
    if invocation.deadline == math.inf or invocation.deadline > trio.current_time():
        return False
    invocation.fail(late(invocation))
    return True


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
