"""One connection's fault ends that connection, is logged, and goes no further."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from typing import Final, Protocol

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


class Doorkeeper(Protocol):
    """Knows how much of the node each address uses."""

    def connected(self, remote: str, /) -> AbstractContextManager[None]:
        """Count a connection from *remote* while the block runs.

        Raises:
            AlknetError: it is one too many.
        """
        ...

    def turned_away(self, remote: str, why: str, /) -> None:
        """Note that whoever is at *remote* has shown a credential that is good for nothing."""


# Whoever listens sets it for the listeners that it starts, so that it need not be handed through
# every transport.
doorkeeper: ContextVar[Doorkeeper | None] = ContextVar("doorkeeper", default=None)


@asynccontextmanager
async def counted(peer: str) -> AsyncIterator[None]:
    """Count the connection from *peer*, which the block serves, before a byte of it is read.

    Raises:
        AlknetError: it is one too many.
    """
    keeper = doorkeeper.get()
    with nullcontext() if keeper is None else keeper.connected(peer):
        yield


def turned_away(peer: str, why: str) -> None:
    """Log, and have noted, that *peer* was not let in for the credential that it has shown."""
    log.warning("auth attempt", remote=peer, result="reject", why=why)
    keeper = doorkeeper.get()
    if keeper is not None:
        keeper.turned_away(peer, why)


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
