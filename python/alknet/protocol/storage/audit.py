"""The audit log: who did what, and whether the log is as it was written."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alknet.protocol.request import Request, operation
from alknet.protocol.storage.types import Limit


class AuditEntry(msgspec.Struct, frozen=True):
    """One deed. `actor` is the id of the caller; `hash`, in hex, seals it and all before it."""

    sequence: int
    at: float
    actor: str | None
    action: str
    subject: str
    details: Mapping[str, Any]
    hash: str


class AuditHead(msgspec.Struct, frozen=True):
    """How far the log goes: note it outside of the node, to see later that nothing was cut off."""

    sequence: int
    hash: str


class AuditPage(msgspec.Struct, frozen=True):
    """Some entries in their order; `next` continues the list, None at its end."""

    entries: tuple[AuditEntry, ...]
    next: int | None = None


class AuditReport(msgspec.Struct, frozen=True):
    """Whether the log is as it was written. `head` is the last entry that is, `fault` what is not.

    Without a fault `head` is the end of the log.
    """

    is_intact: bool
    head: AuditHead
    fault: str | None = None


@operation("storage/list-audit", scopes=("storage:audit",))
class ListAudit(Request[AuditPage], frozen=True):
    """List the entries that follow `after`: what was done to types, graphs and identities, by whom.

    What is done to nodes and edges is in their events; it is not in the audit log.
    """

    after: int = 0
    limit: Limit = 100


@operation("storage/verify-audit", scopes=("storage:audit",))
class VerifyAudit(Request[AuditReport], frozen=True):
    """Go over the whole audit log and say whether it is as it was written.

    With `noted`, the head of an earlier report, entries cut off since then show too, and so does a
    log that was written anew.
    """

    noted: AuditHead | None = None
