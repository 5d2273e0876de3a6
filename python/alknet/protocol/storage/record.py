"""Writing to the audit log, for the node that keeps it and for nobody else."""

from collections.abc import Mapping
from typing import Any

from alknet.protocol.request import Request, operation


@operation("storage/record-audit", kind="mutation", visibility="internal")
class RecordAudit(Request[None], frozen=True):
    """Note in the audit log that `action` was done to `subject`; `details` hold no secret."""

    action: str
    subject: str
    details: Mapping[str, Any]
