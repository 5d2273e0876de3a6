"""API keys in the database: issued, rotated, revoked, and found by whoever authenticates somebody.

Of a key only its SHA-256 is kept: it has 200 bits from the system's randomness, so that nothing
slower is needed. Every change is told of in the stream `identities` and noted in the audit log.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Any, Final

import apsw
import msgspec

from alknet.errors import Conflict
from alknet.protocol.storage.credentials import ApiKey, ApiKeyPage, IssuedKey
from alknet.store import principals
from alknet.store.catalogue import MAX_PAGE, missing
from alknet.store.change import Change
from alknet.store.credentials import IN_FORCE, of_owner

MARK: Final = "alk_"
PREFIX_LENGTH: Final = 12
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_SECRET_LENGTH: Final = 40

_KEY: Final = (
    "prefix, owner, name, scopes, created_at, expires_at, revoked_at, rotated_to, last_used_at"
)
# Named once: of a query that is asked for each caller, putting the text together would show.
_IN_FORCE: Final = f"select {_KEY}, hash from api_keys where prefix = ?1 and {IN_FORCE}"
_names: Final = msgspec.json.Decoder(frozenset[str]).decode


def find_api_key(connection: apsw.Connection, token: str, now: float) -> ApiKey | None:
    """Return the API key that *token*, the whole of it, is; None if it is none in force at *now*.

    It is found by its prefix, which is no secret, and then compared in constant time.
    """
    return find_digest(connection, token, digest(token), now)


def find_digest(
    connection: apsw.Connection, token: str, hashed: bytes, now: float
) -> ApiKey | None:
    """Return what `find_api_key` does, for who has the hash of the token, *hashed*, already."""
    # No key has such letters, and SQLite takes no text with half of a surrogate pair.
    if not token.isascii():
        return None
    row = connection.execute(_IN_FORCE, (token[:PREFIX_LENGTH], now)).fetchone()
    if row is None or not hmac.compare_digest(row[-1], hashed):
        return None
    return _key(row[:-1])


def in_force(connection: apsw.Connection, prefix: str, now: float) -> ApiKey | None:
    """Return the API key of *prefix*, None if it is not in force at *now*.

    For who has seen the whole of it before.
    """
    row = connection.execute(_IN_FORCE, (prefix, now)).fetchone()
    return None if row is None else _key(row[:-1])


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
    kept = get(change.connection, prefix)
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
    kept = get(change.connection, prefix)
    if kept.revoked_at is None:
        change.connection.execute(
            "update api_keys set revoked_at = ? where prefix = ?", (change.now, prefix)
        )
        change.updated("identities", prefix, "api-key", 1)
        change.audit("revoke-api-key", prefix, owner=kept.owner)
    return get(change.connection, prefix)


def get(connection: apsw.Connection, prefix: str) -> ApiKey:
    """Return the API key of *prefix*, in force or not.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(f"select {_KEY} from api_keys where prefix = ?", (prefix,)).fetchone()
    if row is None:
        raise missing("API key", prefix)
    return _key(row)


def page(connection: apsw.Connection, owner: str | None, after: str, limit: int) -> ApiKeyPage:
    """Return at most *limit* API keys whose prefixes follow *after*, *owner*'s if not None."""
    limit = min(limit, MAX_PAGE)
    rows: list[Any] = connection.execute(
        f"select {_KEY} from api_keys where prefix > ?1 {of_owner(owner)} order by prefix limit ?3",
        (after, owner, limit),
    ).fetchall()
    found = tuple(map(_key, rows))
    return ApiKeyPage(found, found[-1].prefix if len(found) == limit else None)


def digest(token: str) -> bytes:
    """Return what is kept of an API key."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


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
    return IssuedKey(get(change.connection, prefix), token)


def _key(row: tuple[Any, ...]) -> ApiKey:
    prefix, owner, name, scopes, *rest = row
    return ApiKey(prefix, owner, name, _names(scopes), *rest)
