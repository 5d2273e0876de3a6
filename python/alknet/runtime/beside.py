"""What a handler that is a generator has done beside it, while it yields."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVarTuple

import trio

Ts = TypeVarTuple("Ts")


@contextmanager
def beside(
    nursery: trio.Nursery, function: Callable[[*Ts], Awaitable[None]], *arguments: *Ts
) -> Iterator[None]:
    """Run *function* in *nursery* while the block runs, and cancel it when the block is left.

    A nursery of the block's own would not do: a generator is left wherever its consumer pleases, in
    a task and within scopes that are the consumer's. What *function* raises is for the nursery.
    """
    scope = trio.CancelScope()

    async def run() -> None:
        with scope:
            await function(*arguments)

    nursery.start_soon(run)
    try:
        yield
    finally:
        scope.cancel(reason="the handler has ended")
