"""One connection's fault ends that connection, is logged, and goes no further."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from alknet.errors import AlknetError, first_of, traced

log = structlog.get_logger("alknet.transport")

# What a peer may do to its own connection without there being anything wrong with the node.
_EXPECTED: Final = (
    AlknetError,
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
)


@asynccontextmanager
async def guarded(peer: str) -> AsyncIterator[None]:
    """Keep what goes wrong in the block, which serves *peer*, from the listener around it."""
    try:
        yield
    except* _EXPECTED as group:
        error = first_of(group)
        log.info("connection ended", remote=peer, reason=str(error) or type(error).__name__)
    except* Exception as group:  # a listener outlives every connection
        log.error("connection failed", remote=peer, cause=traced(group))
