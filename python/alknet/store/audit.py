"""The audit log: who did what, each entry sealed by the hash of all before it.

Whoever holds the file can rewrite it, but not without a trace: a changed, missing or added entry
breaks the chain at its place. Two things a chain cannot show by itself are entries cut off at its
end, and a whole chain made anew. They show to whoever has noted the head, the last sequence and
hash, outside of the file, and gives it to `verify`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import apsw
import msgspec

from alknet.protocol.storage.audit import AuditEntry, AuditHead, AuditPage, AuditReport
from alknet.store.catalogue import MAX_PAGE

_START: Final = bytes(32)
_COLUMNS: Final = "sequence, at, actor, action, subject, details, hash"
_encode: Final = msgspec.json.Encoder().encode


def record(
    connection: apsw.Connection,
    actor: str | None,
    action: str,
    subject: str,
    details: Mapping[str, Any],
    at: float,
) -> None:
    """Add an entry, in the transaction that *connection* is in: with the deed, or not at all."""
    last: Any = connection.execute(
        "select sequence, hash from audit_log order by sequence desc limit 1"
    ).fetchone()
    sequence, before = (last[0] + 1, last[1]) if last else (1, _START)
    text = _encode(details).decode()
    row = (sequence, float(at), actor, action, subject, text)
    connection.execute(
        "insert into audit_log values (?, ?, ?, ?, ?, ?, ?)", (*row, _sealed(before, row))
    )


def page(connection: apsw.Connection, after: int, limit: int) -> AuditPage:
    """Return at most *limit* entries that follow *after*."""
    limit = min(limit, MAX_PAGE)
    rows: list[Any] = connection.execute(
        f"select {_COLUMNS} from audit_log where sequence > ? order by sequence limit ?",
        (after, limit),
    ).fetchall()
    entries = tuple(
        AuditEntry(sequence, at, actor, action, subject, msgspec.json.decode(details), seal.hex())
        for sequence, at, actor, action, subject, details, seal in rows
    )
    return AuditPage(entries, entries[-1].sequence if len(entries) == limit else None)


def verify(connection: apsw.Connection, noted: AuditHead | None = None) -> AuditReport:
    """Go over the whole log and say whether it is as it was written.

    With *noted*, a head from earlier, also whether it still leads to there.
    """
    before = _START
    sequence = 0
    agrees = noted is None or noted.sequence == 0
    rows: Any = connection.execute(f"select {_COLUMNS} from audit_log order by sequence")
    for *row, seal in rows:
        sequence += 1
        if row[0] != sequence:
            fault = f"entry {sequence} is missing: it is followed by entry {row[0]}"
            return _report(sequence - 1, before, fault)
        if seal != _sealed(before, row):
            fault = f"entry {sequence} is not as it was written, or the one before it is not"
            return _report(sequence - 1, before, fault)
        before = seal
        if noted is not None and noted.sequence == sequence:
            agrees = noted.hash == seal.hex()
    if not agrees and noted is not None:
        fault = (
            f"entry {noted.sequence} had another hash when you noted it: the log was written anew"
            if noted.sequence <= sequence
            else f"it ends at entry {sequence}, and you have noted entry {noted.sequence}"
        )
        return _report(sequence, before, fault)
    return _report(sequence, before, None)


def _report(sequence: int, seal: bytes, fault: str | None) -> AuditReport:
    return AuditReport(fault is None, AuditHead(sequence, seal.hex()), fault)


def _sealed(before: bytes, row: Any) -> bytes:
    """Return the hash of an entry: of the one before it, and of its values as a JSON array."""
    return hashlib.sha256(before + _encode(list(row))).digest()
