"""The sqlite backend: credentials in the database, asked for one by one, beside those listed.

What was found is remembered until anything about identities or rights changes: that is told with
the change itself, so a revocation holds from the moment that it is acknowledged, and for one that
another process made, from the moment that this one hears of its commit. What was *not* found is
remembered too, apart and a little of it only: whoever makes up credentials pushes out their own
misses, and never what others are known by.
"""

import base64
import time
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import msgspec

from alknet.errors import BadKey
from alknet.protocol.auth import Credential, Granted
from alknet.protocol.storage.credentials import ApiKey
from alknet.services.auth.authorized_keys import AuthorizedKey
from alknet.services.auth.keyset import AuthSettings, KeySet, Lines
from alknet.services.auth.recent import Recent
from alknet.store import api_keys, credentials
from alknet.store.database import Database
from alknet.store.freshness import Freshness
from alknet.store.rights import RightsOf


class _Stored(NamedTuple):
    """What the database has of a fingerprint: a line and its owner, while it is in force."""

    lines: Lines
    is_revoked: bool = False


_NOTHING: Final = _Stored(())
_HOT: Final = 65_536
_MISSES: Final = 1_024


class StoredKeys(KeySet):
    """A KeySet that goes on in *database* where nothing is listed; used in Trio's thread.

    What was revoked there is good for nothing here either. A principal is let in as itself, with
    its rights as they are now; by an API key, with what its scopes cover of them. The key id of a
    signed token must be the hash of the OpenSSH blob there, which is what a fingerprint is.

    Raises:
        Unavailable: by every method: the database cannot be read, so nobody can be told apart.
    """

    def __init__(self, settings: AuthSettings, folder: Path, database: Database) -> None:
        super().__init__(settings, folder)
        self._database = database
        self._freshness = Freshness(database)
        self._rights = RightsOf(database)
        self._hot_tokens: Recent[bytes, Granted] = Recent(_HOT)
        self._hot_keys: Recent[str, _Stored] = Recent(_HOT)
        self._misses: Recent[bytes | str, bool] = Recent(_MISSES)
        self._used: set[str] = set()

    def token(self, token: str, now: float) -> Granted | None:
        if not token.startswith(api_keys.MARK):
            return super().token(token, now)
        self._forget_if_stale()
        digest = api_keys.digest(token)
        granted = self._hot_tokens.get(digest)
        if granted is not None and (granted.expires is None or now < granted.expires):
            self._used.add(token[: api_keys.PREFIX_LENGTH])
            return granted
        return self._cold_token(token, digest, now)

    def _cold_token(self, token: str, digest: bytes, now: float) -> Granted | None:
        listed = super().token_of(digest.hex(), now)
        if listed is not None or self._misses.get(digest):
            return listed
        key = self._database.look(
            lambda connection: api_keys.find_digest(connection, token, digest, now)
        )
        if key is None:
            self._misses.put(digest, True)
            return None
        granted = self._granted(key)
        self._hot_tokens.put(digest, granted)
        self._used.add(key.prefix)
        return granted

    def token_of(self, id: str, now: float) -> Granted | None:
        listed = super().token_of(id, now)
        if listed is not None or not id.startswith(api_keys.MARK):
            return listed
        key = self._database.look(lambda connection: api_keys.in_force(connection, id, now))
        return None if key is None else self._granted(key)

    def is_revoked(self, fingerprint: str) -> bool:
        return super().is_revoked(fingerprint) or self._stored(fingerprint, time.time()).is_revoked

    def owners(self, fingerprint: str, now: float) -> Lines:
        return super().owners(fingerprint, now) or tuple(
            each for each in self._stored(fingerprint, now).lines if not each[1].is_authority
        )

    def authorities(self, fingerprint: str, now: float) -> Lines:
        return super().authorities(fingerprint, now) or tuple(
            each for each in self._stored(fingerprint, now).lines if each[1].is_authority
        )

    def signer(self, key_id: bytes) -> bytes | None:
        listed = super().signer(key_id)
        if listed is not None:
            return listed
        fingerprint = f"SHA256:{base64.b64encode(key_id).rstrip(b'=').decode()}"
        for _, line in self.owners(fingerprint, time.time()):
            return line.public_key
        return None

    def take_used(self) -> tuple[list[str], list[str]]:
        """Return what has been used since this was last asked: prefixes, and fingerprints."""
        used, self._used = self._used, set()
        prefixes = [each for each in used if each.startswith(api_keys.MARK)]
        return prefixes, [each for each in used if not each.startswith(api_keys.MARK)]

    def _granted(self, key: ApiKey) -> Granted:
        identity = self._rights.identity(key.owner, key.scopes)
        return Granted(identity, Credential("token", key.prefix), key.expires_at)

    def _stored(self, fingerprint: str, now: float) -> _Stored:
        self._forget_if_stale()
        found = self._hot_keys.get(fingerprint)
        if found is None:
            if self._misses.get(fingerprint):
                return _NOTHING
            found = self._database.look(lambda connection: self._read(connection, fingerprint, now))
            if found is _NOTHING:
                self._misses.put(fingerprint, True)
                return found
            self._hot_keys.put(fingerprint, found)
        if found.lines:
            self._used.add(fingerprint)
        return found

    def _read(self, connection: apsw.Connection, fingerprint: str, now: float) -> _Stored:
        kept = credentials.find_credential(connection, fingerprint, now)
        if kept is None:
            is_revoked = credentials.is_revoked(connection, fingerprint)
            return _Stored((), is_revoked=True) if is_revoked else _NOTHING
        option = "cert-authority " if kept.kind == "cert-authority" else ""
        try:
            line = AuthorizedKey.parse(option + kept.public_key)
        except BadKey:
            # Of a kind that nobody can prove here; the database keeps those too.
            return _NOTHING
        expires = float("inf") if kept.expires_at is None else kept.expires_at
        line = msgspec.structs.replace(line, expires=expires)
        return _Stored(((self._rights.identity(kept.owner), line),))

    def _forget_if_stale(self) -> None:
        if self._freshness.is_lost():
            self._hot_tokens.clear()
            self._hot_keys.clear()
            self._misses.clear()
