"""A nursery for what serves a block of code, and ends with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_background() -> AsyncIterator[trio.Nursery]:
    """Yield a nursery that is cancelled when the block is left.

    An error of the block comes out as it is, not wrapped in a group, so that a caller can catch
    what it knows. An error of a background task cancels the block and comes out in a group.
    """
    failed: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except Exception as error:
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
