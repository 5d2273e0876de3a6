"""A nursery for what serves a block of code, and ends after it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_background() -> AsyncIterator[trio.Nursery]:
    """Yield a nursery that is cancelled when the block is left.

    Cancelling the block does not reach what runs in the nursery before that, so the block's own
    `finally` can still make use of it: let calls finish, say goodbye.

    An error of the block comes out as it is, not wrapped in a group, so that a caller can catch
    what it knows. An error of a background task cancels the block and comes out in a group.
    """
    failed: Exception | None = None
    async with trio.open_nursery() as outer:
        nursery: trio.Nursery = await outer.start(_hold, outer)
        try:
            yield nursery
        except Exception as error:
            failed = error
        finally:
            nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _hold(outer: trio.Nursery, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
            # Who is cancelled while he starts us keeps us; behind a shield he would wait for good.
            scope.shield = trio.lowlevel.current_task().parent_nursery is outer
            await trio.sleep_forever()
