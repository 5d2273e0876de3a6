"""SSH keys and certificate authorities in the database, and whose they are.

`find_credential` answers whoever authenticates somebody: it finds only what is in force and belongs
to a principal that is enabled. Every change is told of in the stream `identities` and noted in the
audit log.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import Any, Final

import apsw

from alknet.errors import BadKey, Conflict
from alknet.protocol.storage.credentials import (
    Credential,
    CredentialKind,
    CredentialPage,
)
from alknet.store import principals
from alknet.store.catalogue import MAX_PAGE, missing
from alknet.store.change import Change

_CREDENTIAL: Final = (
    "fingerprint, kind, owner, public_key, name, created_at, expires_at, revoked_at, last_used_at"
)
# Of a row that has an owner, at the time bound as ?2.
IN_FORCE: Final = (
    "revoked_at is null and (expires_at is null or expires_at > ?2) "
    "and (select enabled from principals where id = owner)"
)


def find_credential(connection: apsw.Connection, fingerprint: str, now: float) -> Credential | None:
    """Return the credential of that fingerprint; None if there is none in force at *now*."""
    row = connection.execute(
        f"select {_CREDENTIAL} from peer_credentials where fingerprint = ?1 and {IN_FORCE}",
        (fingerprint, now),
    ).fetchone()
    return None if row is None else Credential(*row)


def is_revoked(connection: apsw.Connection, fingerprint: str) -> bool:
    """Tell whether the credential of that fingerprint was revoked; one that is unknown was not."""
    return bool(
        connection.execute(
            "select revoked_at is not null from peer_credentials where fingerprint = ?",
            (fingerprint,),
        ).get
    )


def note_use(
    connection: apsw.Connection, prefixes: Iterable[str], fingerprints: Iterable[str], now: float
) -> None:
    """Note that these API keys and credentials were used at *now*.

    For whoever asks which ones nobody needs any more. It is neither told of nor audited; gather
    many, since each call is a transaction's work.
    """
    connection.executemany(
        "update api_keys set last_used_at = ? where prefix = ?", [(now, each) for each in prefixes]
    )
    connection.executemany(
        "update peer_credentials set last_used_at = ? where fingerprint = ?",
        [(now, each) for each in fingerprints],
    )


def add(
    change: Change,
    owner: str,
    public_key: str,
    kind: CredentialKind,
    name: str,
    lifetime: float | None,
) -> Credential:
    """Have the holder of *public_key*, an OpenSSH line, be known as the principal *owner*.

    Raises:
        NotFound: there is no such principal.
        BadKey: it is no OpenSSH line.
        Conflict: it is known already, or was and is revoked.
    """
    principals.get(change.connection, owner)
    line, fingerprint = read_line(public_key)
    expires_at = None if lifetime is None else change.now + lifetime
    try:
        change.connection.execute(
            f"insert into peer_credentials ({_CREDENTIAL}) "
            f"values (?, ?, ?, ?, ?, ?, ?, null, null)",
            (fingerprint, kind, owner, line, name, change.now, expires_at),
        )
    except apsw.ConstraintError:
        kept = get(change.connection, fingerprint)
        state = "revoked" if kept.revoked_at is not None else "known"
        raise Conflict(
            f"the key {fingerprint} is {state} already, and {kept.owner!r} has it"
        ) from None
    change.created("identities", fingerprint, kind)
    change.audit("add-credential", fingerprint, owner=owner, kind=kind, expires_at=expires_at)
    return get(change.connection, fingerprint)


def revoke(change: Change, fingerprint: str) -> Credential:
    """Have the credential of that fingerprint be nobody's; one that is revoked stays so.

    Raises:
        NotFound: there is no such credential.
    """
    kept = get(change.connection, fingerprint)
    if kept.revoked_at is None:
        change.connection.execute(
            "update peer_credentials set revoked_at = ? where fingerprint = ?",
            (change.now, fingerprint),
        )
        change.updated("identities", fingerprint, kept.kind, 1)
        change.audit("revoke-credential", fingerprint, owner=kept.owner)
    return get(change.connection, fingerprint)


def get(connection: apsw.Connection, fingerprint: str) -> Credential:
    """Return the credential of that fingerprint, in force or not.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(
        f"select {_CREDENTIAL} from peer_credentials where fingerprint = ?", (fingerprint,)
    ).fetchone()
    if row is None:
        raise missing("credential", fingerprint)
    return Credential(*row)


def page(connection: apsw.Connection, owner: str | None, after: str, limit: int) -> CredentialPage:
    """Return at most *limit* credentials that follow *after*, *owner*'s if it is not None."""
    limit = min(limit, MAX_PAGE)
    rows: list[Any] = connection.execute(
        f"select {_CREDENTIAL} from peer_credentials where fingerprint > ?1 {of_owner(owner)} "
        f"order by fingerprint limit ?3",
        (after, owner, limit),
    ).fetchall()
    found = tuple(Credential(*row) for row in rows)
    return CredentialPage(found, found[-1].fingerprint if len(found) == limit else None)


def read_line(text: str) -> tuple[str, str]:
    """Return an OpenSSH public key line without its comment, and its fingerprint.

    Raises:
        BadKey: it is none.
    """
    words = text.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        raise _no_line() from None
    kind = words[0].encode()
    if blob[: 4 + len(kind)] != len(kind).to_bytes(4) + kind or len(blob) <= 4 + len(kind):
        raise _no_line()
    mark = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{words[0]} {words[1]}", f"SHA256:{mark}"


def _no_line() -> BadKey:
    return BadKey(
        "that is no OpenSSH public key: it reads like `ssh-ed25519 AAAA... comment`, one line of "
        "an .pub file, without options before it",
        details={"field": "public_key"},
    )


def of_owner(owner: str | None) -> str:
    """Return the SQL for rows of *owner*, which is bound as ?2; of everybody if it is None."""
    return "and ?2 is null" if owner is None else "and owner = ?2"
