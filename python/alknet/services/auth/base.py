"""Auth: whose credential it is, by a key set that is swapped whole when it is read anew.

The key set is what is listed in stack.toml, alone (the memory backend) or with what the database
has beside it (the sqlite backend, `stored`).
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog
import trio

from alknet.call.access import refusal
from alknet.call.context import Context
from alknet.errors import BadKey, Forbidden, InvalidInput, Unavailable
from alknet.identity import Identity
from alknet.protocol.auth import (
    AccessDecision,
    CheckAccess,
    CloseSessions,
    Denied,
    Granted,
    KeyCount,
    OpenSession,
    ReloadKeys,
    SessionToken,
    StillGrants,
    VerifyCertificate,
    VerifyPubkey,
    VerifyToken,
)
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler
from alknet.services.auth.answers import Answers
from alknet.services.auth.certificates import Certificate
from alknet.services.auth.keyset import AuthSettings, KeySet
from alknet.services.auth.sessions import Sessions
from alknet.services.auth.stored import StoredKeys
from alknet.services.auth.tokens import SignedTokens
from alknet.store import credentials
from alknet.store.database import Database
from alknet.store.freshness import Freshness

log = structlog.get_logger("alknet.auth")

_KEY_BYTES: Final = 32
_RETRY_SECONDS: Final = 1.0
_NOTE_SECONDS: Final = 10.0


class Auth(Service):
    """What every backend does the same way: read the keys, end links, give tokens for a while."""

    settings_type = AuthSettings
    reloads = (ReloadKeys(),)

    def __init__(self, settings: AuthSettings, host: Host) -> None:
        self._host = host
        self._settings = settings
        self._database: Database | None = None
        self._keys = KeySet(settings, host.folder)
        self._signed = SignedTokens(settings.token_window)
        self._sessions = Sessions()
        self._answers = Answers(host.audit, host.home.itself)
        host.still_grants = self._still_grants
        if settings.backend == "sqlite":
            self.requires = ("storage",)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        if self._settings.backend == "memory":
            yield
            return
        self._database = self._host.borrow(Database)
        self._keys = self._key_set(self._settings)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_ending, self._database)
            nursery.start_soon(self._keep_noting, self._database)
            yield
            nursery.cancel_scope.cancel()

    def _key_here(self, request: VerifyPubkey) -> Granted | Denied:
        _check_key(request.public_key)
        return self._keys.key(request.public_key, request.source, time.time())

    def _certificate_here(self, request: VerifyCertificate) -> Granted | Denied:
        _check_key(request.public_key)
        try:
            certificate = Certificate.parse(request.certificate)
        except BadKey as error:
            return Denied(str(error))
        if certificate.public_key != request.public_key:
            return Denied("the certificate is of another key than the one that has signed")
        return self._keys.certificate(certificate, request.source, time.time())

    def _token_here(self, request: VerifyToken) -> Granted | Denied:
        now = time.time()
        granted = self._keys.token(request.token, now) or self._sessions.find(request.token, now)
        if granted is not None:
            return granted
        checked = self._signed.check(request.token, self._keys.signer, now)
        if isinstance(checked, str):
            return Denied(checked)
        return self._keys.key(checked, request.source, now)

    @handler(concurrent=True)
    def still_grants(self, request: StillGrants) -> tuple[bool, ...]:
        return tuple(map(self._still_grants, request.granted))

    def check_reload(self) -> None:
        KeySet(self._reread(), self._host.folder)

    def _reread(self) -> AuthSettings:
        settings = self._host.reread(self.namespace)
        assert isinstance(settings, AuthSettings)
        self._refuse_another(settings)
        return settings

    @handler
    async def reload(self, request: ReloadKeys) -> KeyCount:
        settings = self._reread()
        self._keys = self._key_set(settings)
        self._settings = settings
        self._signed.window = settings.token_window
        ended = self._end_links("its credential is good no longer, or for something else")
        log.info("keys in force", peers=len(self._keys), tokens=self._keys.token_count, ended=ended)
        return KeyCount(peers=len(self._keys), tokens=self._keys.token_count, ended=ended)

    @handler(concurrent=True)
    def open_session(self, request: OpenSession, context: Context) -> SessionToken:
        opener = None if context.session is None else self._host.granted.get(context.session)
        identity = context.identity
        if opener is None or identity is None or opener.identity != identity:
            raise InvalidInput("a session token is for who asks for it over a link of their own")
        if opener.credential is None or opener.credential.kind == "session":
            raise Forbidden("a session token cannot be used to get another: come with the key")
        now = time.time()
        expires = min(now + request.seconds, opener.expires or float("inf"))
        if request.scopes is not None:
            identity = identity.narrowed_to(
                Identity(identity.id, request.scopes, identity.resources, identity.tenant)
            )
        return SessionToken(self._sessions.open(opener, identity, expires, now), expires)

    @handler(concurrent=True)
    def close_sessions(self, _: CloseSessions, context: Context) -> int:
        closed = self._sessions.close(context.identity.id if context.identity else "")
        self._end_links("its session was closed")
        return closed

    @handler(concurrent=True)
    def check(self, request: CheckAccess) -> AccessDecision:
        home = self._host.home
        error = refusal(
            home.registry.find(request.operation).spec,
            request.identity,
            resource=request.resource,
            some_resource=request.resource is None,
            ownership=home.ownership,
        )
        return AccessDecision(allowed=error is None, why=None if error is None else str(error))

    def _key_set(self, settings: AuthSettings) -> KeySet:
        if self._database is None:
            return KeySet(settings, self._host.folder)
        return StoredKeys(settings, self._host.folder, self._database)

    def _refuse_another(self, settings: AuthSettings) -> None:
        for field in ("backend", "remote", "expect", "key", "ca"):
            asked, found = getattr(settings, field), getattr(self._settings, field)
            if asked != found:
                raise InvalidInput(
                    f"`{field}` under [auth] is {asked!r} now, and the node runs with {found!r}: "
                    f"restart it, or put that back",
                    details={"field": field},
                )

    async def _keep_ending(self, database: Database) -> None:
        """End links each time that something about identities or rights has changed."""
        freshness = Freshness(database)
        while True:
            try:
                if freshness.is_lost():
                    self._end_links("its credential is good no longer, or for something else")
            except Unavailable as error:
                # Links that are open stay: who could tell whose they are now? It is tried again.
                log.error("links not looked through", why=str(error))
                freshness = Freshness(database)
                await trio.sleep(_RETRY_SECONDS)
                continue
            await database.committed()

    async def _keep_noting(self, database: Database) -> None:
        """Note in the database now and then what has been used."""
        while True:
            await trio.sleep(_NOTE_SECONDS)
            assert isinstance(self._keys, StoredKeys)
            prefixes, fingerprints = self._keys.take_used()
            if not (prefixes or fingerprints):
                continue
            note = partial(
                credentials.note_use, prefixes=prefixes, fingerprints=fingerprints, now=time.time()
            )
            try:
                await database.write(note)
            except Unavailable as error:
                log.warning("use of credentials not noted", why=str(error))

    def _end_links(self, why: str) -> int:
        """End what would not be let in now as it was then: sessions, and links; return how many."""
        self._sessions.keep(self._still_grants)
        ended = 0
        for each, granted in list(self._host.granted.items()):
            if not self._still_grants(granted):
                log.warning("link ended", peer=each.peer, remote=each.remote, why=why)
                each.cancel(why)
                ended += 1
        return ended

    def _still_grants(self, granted: Granted) -> bool:
        credential = granted.credential
        if credential is not None and credential.kind == "session":
            return credential in self._sessions
        return self._keys.still_grants(granted, time.time())


def _check_key(public_key: bytes) -> None:
    if len(public_key) != _KEY_BYTES:
        raise InvalidInput(
            f"an Ed25519 public key has {_KEY_BYTES} bytes, not {len(public_key)}",
            details={"field": "public_key"},
        )
