"""Handlers for the audit log."""

from functools import partial

from alknet.call.context import Context
from alknet.protocol.storage import AuditPage, AuditReport, ListAudit, VerifyAudit
from alknet.protocol.storage.record import RecordAudit
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import audit


class AuditHandlers(Storage):
    """Who did what, and whether it was tampered with."""

    @handler(concurrent=True)
    def list_audit(self, request: ListAudit) -> AuditPage:
        return self._database.look(
            lambda connection: audit.page(connection, request.after, request.limit)
        )

    @handler(concurrent=True)
    async def verify_audit(self, request: VerifyAudit) -> AuditReport:
        return await self._database.read(partial(audit.verify, noted=request.noted))

    @handler(concurrent=True)
    async def record_audit(self, request: RecordAudit, context: Context) -> None:
        details = dict(request.details)
        await self._change(
            context, lambda change: change.audit(request.action, request.subject, **details)
        )
