"""AuditTrail: who was let in, and who was not, for the audit log of a node that keeps one."""

from typing import Any, Final

import structlog
import trio

from alknet.call.client import Client
from alknet.call.registry import Registry
from alknet.errors import CallError
from alknet.protocol.storage.record import RecordAudit

log = structlog.get_logger("alknet.audit")

# What a database that takes its time leaves waiting; whoever knocks faster than that is a flood,
# and what is not written stands in the node's own log.
_MOST_WAITING: Final = 4_096
_SECONDS: Final = 5.0


class AuditTrail:
    """Writes decisions to the audit log through *client*, if *registry* has one.

    That it cannot be written changes nothing for anybody, and is an error in the node's own log.
    """

    def __init__(self, registry: Registry, client: Client) -> None:
        self._registry = registry
        self._client = client
        self._waiting = 0
        self._send, self._receive = trio.open_memory_channel[tuple[str, str, dict[str, Any]]](
            _MOST_WAITING
        )
        self._settled = trio.Event()

    @property
    def is_kept(self) -> bool:
        """Whether there is an audit log."""
        return self._registry.get(RecordAudit.__operation__.name) is not None

    async def record(self, action: str, subject: str, **details: Any) -> None:
        """Write down one decision; return when it is on disk, or cannot be."""
        if not self.is_kept:
            return
        try:
            await self._client.call(RecordAudit(action, subject, details), timeout=_SECONDS)
        except CallError as error:
            log.error("audit log not written", action=action, subject=subject, why=str(error))

    def note(self, action: str, subject: str, **details: Any) -> None:
        """Have one decision written down soon; never waits."""
        if not self.is_kept:
            return
        try:
            self._send.send_nowait((action, subject, details))
            self._waiting += 1
        except trio.WouldBlock:
            why = f"{_MOST_WAITING} entries wait already"
            log.error("audit log not written", action=action, subject=subject, why=why)

    async def run(self) -> None:
        """Write down what is noted, until cancelled."""
        async for action, subject, details in self._receive:
            await self.record(action, subject, **details)
            self._waiting -= 1
            if not self._waiting:
                self._settled.set()
                self._settled = trio.Event()

    async def settled(self) -> None:
        """Return when nothing that was noted waits to be written."""
        while self._waiting:
            await self._settled.wait()
