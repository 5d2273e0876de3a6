"""Credentials in the database: API keys, SSH keys and certificate authorities.

Of an API key only its SHA-256 is kept: it has 200 bits from the system's randomness, so that
nothing slower is needed. `find_api_key` and `find_credential` answer who authenticates somebody:
they find only what is in force, and belongs to a principal that is enabled.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Any, Final

import apsw
import msgspec

from alknet.errors import BadKey, Conflict
from alknet.protocol.storage.credentials import (
    ApiKey,
    ApiKeyPage,
    Credential,
    CredentialKind,
    CredentialPage,
    IssuedKey,
)
from alknet.store import principals
from alknet.store.catalogue import MAX_PAGE, missing
from alknet.store.change import Change

MARK: Final = "alk_"
PREFIX_LENGTH: Final = 12
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_SECRET_LENGTH: Final = 40

_KEY: Final = (
    "prefix, owner, name, scopes, created_at, expires_at, revoked_at, rotated_to, last_used_at"
)
_CREDENTIAL: Final = (
    "fingerprint, kind, owner, public_key, name, created_at, expires_at, revoked_at, last_used_at"
)
_IN_FORCE: Final = (
    "revoked_at is null and (expires_at is null or expires_at > ?2) "
    "and (select enabled from principals where id = owner)"
)
_names: Final = msgspec.json.Decoder(frozenset[str]).decode


def find_api_key(connection: apsw.Connection, token: str, now: float) -> ApiKey | None:
    """Return the API key that *token*, the whole of it, is; None if it is none in force at *now*.

    It is found by its prefix, which is no secret, and then compared in constant time.
    """
    row = connection.execute(
        f"select {_KEY}, hash from api_keys where prefix = ?1 and {_IN_FORCE}",
        (token[:PREFIX_LENGTH], now),
    ).fetchone()
    if row is None or not hmac.compare_digest(row[-1], digest(token)):
        return None
    return _key(row[:-1])


def find_credential(connection: apsw.Connection, fingerprint: str, now: float) -> Credential | None:
    """Return the credential of that fingerprint; None if there is none in force at *now*."""
    row = connection.execute(
        f"select {_CREDENTIAL} from peer_credentials where fingerprint = ?1 and {_IN_FORCE}",
        (fingerprint, now),
    ).fetchone()
    return None if row is None else Credential(*row)


def note_use(
    connection: apsw.Connection, prefixes: Iterable[str], fingerprints: Iterable[str], now: float
) -> None:
    """Note that these were used at *now*: for whoever asks which ones nobody needs any more.

    It is neither told of nor audited; gather many, since each call is a transaction's work.
    """
    connection.executemany(
        "update api_keys set last_used_at = ? where prefix = ?", [(now, each) for each in prefixes]
    )
    connection.executemany(
        "update peer_credentials set last_used_at = ? where fingerprint = ?",
        [(now, each) for each in fingerprints],
    )


def issue(
    change: Change, owner: str, name: str, scopes: Iterable[str], lifetime: float | None
) -> IssuedKey:
    """Make an API key for the principal *owner*, good for *lifetime* seconds.

    Raises:
        NotFound: there is no such principal.
    """
    principals.get(change.connection, owner)
    issued = _issue(change, owner, name, scopes, lifetime)
    change.created("identities", issued.key.prefix, "api-key")
    change.audit(
        "issue-api-key",
        issued.key.prefix,
        owner=owner,
        scopes=sorted(scopes),
        expires_at=issued.key.expires_at,
    )
    return issued


def rotate(change: Change, prefix: str, grace: float, lifetime: float | None) -> IssuedKey:
    """Make a key in the place of that of *prefix*, which is good for *grace* seconds more at most.

    Raises:
        NotFound: there is no such key.
        Conflict: it has been rotated, is revoked, or has expired.
    """
    kept = get_key(change.connection, prefix)
    if kept.rotated_to is not None:
        raise Conflict(f"the API key {prefix!r} has been rotated already, to {kept.rotated_to!r}")
    if kept.revoked_at is not None or (kept.expires_at or change.now + 1) <= change.now:
        raise Conflict(f"the API key {prefix!r} is revoked or has expired: issue a new one")
    issued = _issue(change, kept.owner, kept.name, kept.scopes, lifetime)
    ends = change.now + grace
    change.connection.execute(
        "update api_keys set rotated_to = ?, expires_at = min(coalesce(expires_at, ?), ?) "
        "where prefix = ?",
        (issued.key.prefix, ends, ends, prefix),
    )
    change.updated("identities", prefix, "api-key", 1)
    change.created("identities", issued.key.prefix, "api-key")
    change.audit("rotate-api-key", prefix, to=issued.key.prefix, grace=grace)
    return issued


def revoke(change: Change, prefix: str) -> ApiKey:
    """Have the key of *prefix* be nobody's; one that is revoked stays so.

    Raises:
        NotFound: there is no such key.
    """
    kept = get_key(change.connection, prefix)
    if kept.revoked_at is None:
        change.connection.execute(
            "update api_keys set revoked_at = ? where prefix = ?", (change.now, prefix)
        )
        change.updated("identities", prefix, "api-key", 1)
        change.audit("revoke-api-key", prefix, owner=kept.owner)
    return get_key(change.connection, prefix)


def get_key(connection: apsw.Connection, prefix: str) -> ApiKey:
    """Return the API key of *prefix*, in force or not.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(f"select {_KEY} from api_keys where prefix = ?", (prefix,)).fetchone()
    if row is None:
        raise missing("API key", prefix)
    return _key(row)


def key_page(connection: apsw.Connection, owner: str | None, after: str, limit: int) -> ApiKeyPage:
    """Return at most *limit* API keys whose prefixes follow *after*, *owner*'s if not None."""
    limit = min(limit, MAX_PAGE)
    rows: list[Any] = connection.execute(
        f"select {_KEY} from api_keys where prefix > ?1 {_of(owner)} order by prefix limit ?3",
        (after, owner, limit),
    ).fetchall()
    found = tuple(map(_key, rows))
    return ApiKeyPage(found, found[-1].prefix if len(found) == limit else None)


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


def revoke_credential(change: Change, fingerprint: str) -> Credential:
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
        f"select {_CREDENTIAL} from peer_credentials where fingerprint > ?1 {_of(owner)} "
        f"order by fingerprint limit ?3",
        (after, owner, limit),
    ).fetchall()
    found = tuple(Credential(*row) for row in rows)
    return CredentialPage(found, found[-1].fingerprint if len(found) == limit else None)


def digest(token: str) -> bytes:
    """Return what is kept of an API key."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


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


def _issue(
    change: Change, owner: str, name: str, scopes: Iterable[str], lifetime: float | None
) -> IssuedKey:
    letters = "".join(
        secrets.choice(_LETTERS) for _ in range(PREFIX_LENGTH - len(MARK) + _SECRET_LENGTH)
    )
    token = MARK + letters
    prefix = token[:PREFIX_LENGTH]
    expires_at = None if lifetime is None else change.now + lifetime
    # A prefix that is taken, one in a million millions, fails the call; asking again mends it.
    change.connection.execute(
        "insert into api_keys (prefix, hash, owner, name, scopes, created_at, expires_at) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        (
            *(prefix, digest(token), owner, name),
            *(principals.names_text(scopes), change.now, expires_at),
        ),
    )
    return IssuedKey(get_key(change.connection, prefix), token)


def _of(owner: str | None) -> str:
    return "and ?2 is null" if owner is None else "and owner = ?2"


def _key(row: tuple[Any, ...]) -> ApiKey:
    prefix, owner, name, scopes, *rest = row
    return ApiKey(prefix, owner, name, _names(scopes), *rest)
