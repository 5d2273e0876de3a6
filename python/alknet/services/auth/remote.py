"""The remote backend: an auth node is asked whose credential it is, beside those listed here.

What it has said is believed for some seconds (`remember`), and no longer: when it cannot be asked,
nobody is let in whom it would have to be asked about. Links that are open stay open then; while it
can be asked, it is asked about each of them every so many seconds too, so that what it has revoked
ends them within that time. A signed token is good once, so it is asked about each time.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
import trio

from alknet.call.backoff import backoff
from alknet.call.remote import RemoteClient
from alknet.errors import AlknetError, CallError, Locked, Unavailable
from alknet.protocol.auth import (
    Credential,
    Denied,
    Granted,
    KeyCount,
    ReloadKeys,
    VerifyCertificate,
    VerifyPubkey,
    VerifyToken,
)
from alknet.runtime.host import Host
from alknet.runtime.key_file import read_private_key
from alknet.runtime.service import handler
from alknet.services.auth.keyset import AuthSettings
from alknet.services.auth.recent import Recent
from alknet.services.auth.service import AuthService

log = structlog.get_logger("alknet.auth")

Question = VerifyPubkey | VerifyCertificate | VerifyToken

_HOT: Final = 65_536
_MISSES: Final = 1_024
_ASK_SECONDS: Final = 5.0
# A node that is back is to be found within two seconds.
_LONGEST_AWAY: Final = 0.5
# Between the answer and the link that it lets in lies a handshake, which may take its time.
_HANDSHAKE_SECONDS: Final = 60.0


class _Answer(msgspec.Struct, frozen=True):
    verdict: Granted | Denied
    until: float


class _Known(msgspec.Struct, frozen=True):
    """What was said of a credential, and when (Trio's clock); how to ask again, if one can."""

    question: Question | None
    granted: Granted
    at: float


class RemoteAuth(AuthService, backend="remote"):
    """Says whose credential it is by the word of another node.

    Raises:
        SettingsError: the key that we prove ourselves with there cannot be read.
    """

    def __init__(self, settings: AuthSettings, host: Host) -> None:
        super().__init__(settings, host)
        assert settings.remote is not None
        self._url = settings.remote
        self._key = None if settings.key is None else read_private_key(host.folder / settings.key)
        self._client: RemoteClient | None = None
        self._granted: Recent[bytes, _Answer] = Recent(_HOT)
        self._denied: Recent[bytes, _Answer] = Recent(_MISSES)
        self._known: dict[Credential, _Known] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_linked)
            yield
            nursery.cancel_scope.cancel()

    # A handler may be a plain function or an async one; for a type checker they are not the same.

    @handler(concurrent=True)
    async def verify(self, request: VerifyPubkey) -> Granted | Denied:  # type: ignore[override]
        return await self._found(request, super().verify(request))

    @handler(concurrent=True)
    async def verify_certificate(self, request: VerifyCertificate) -> Granted | Denied:  # type: ignore[override]
        return await self._found(request, super().verify_certificate(request))

    @handler(concurrent=True)
    async def verify_token(self, request: VerifyToken) -> Granted | Denied:  # type: ignore[override]
        return await self._found(request, super().verify_token(request))

    @handler
    async def reload(self, request: ReloadKeys) -> KeyCount:
        self._forget()
        count = await super().reload(request)
        return msgspec.structs.replace(count, ended=count.ended + await self._ask_again())

    async def _found(self, request: Question, here: Granted | Denied) -> Granted | Denied:
        """Return what is known *here*, or else at the auth node.

        Raises:
            Unavailable: it cannot be asked.
        """
        if isinstance(here, Granted):
            return here
        mark = hashlib.sha256(msgspec.msgpack.encode(request)).digest()
        now = trio.current_time()
        known = self._granted.get(mark) or self._denied.get(mark)
        if known is not None and now < known.until and not _is_over(known.verdict):
            return known.verdict
        verdict = await self._ask(request)
        if isinstance(verdict, Granted):
            verdict = self._checked(verdict)
        answer = _Answer(verdict, now + self._settings.remember)
        if isinstance(verdict, Denied):
            self._denied.put(mark, answer)
            return verdict
        credential = verdict.credential
        assert credential is not None
        if isinstance(request, VerifyToken) and credential.kind == "key":
            # A signed token: it cannot be shown again, but its key may be asked about otherwise.
            self._known.setdefault(credential, _Known(None, verdict, now))
        else:
            self._granted.put(mark, answer)
            self._known[credential] = _Known(request, verdict, now)
        return verdict

    def _checked(self, verdict: Granted) -> Granted | Denied:
        """Return *verdict*, unless it is of something that is good for nothing here."""
        credential = verdict.credential
        if credential is None:
            return Denied("the auth node has not said by what it knows who this is")
        for each in (credential.id, credential.authority):
            if each is not None and self._keys.is_revoked(each):
                return Denied(f"the key {each} was revoked")
        return Denied("the credential has expired") if _is_over(verdict) else verdict

    async def _ask(self, request: Question) -> Granted | Denied:
        client = self._client
        if client is None:
            raise self._away("there is no link to it")
        try:
            return await client.call(request, timeout=_ASK_SECONDS)
        except CallError as error:
            raise self._away(str(error)) from error

    def _away(self, why: str) -> Unavailable:
        return Unavailable(
            f"the auth node at {self._url} cannot be asked who this is ({why}), so nobody is let "
            f"in by its word: try again when it is back"
        )

    async def _keep_linked(self) -> None:
        """Hold a link to the auth node, and open another whenever it is lost, until cancelled."""
        failures = 0
        while True:
            try:
                key = self._key or self._host.vault.identity()
                if key is None:
                    raise Locked(
                        "this node cannot prove who it is there: unlock its vault, or name a "
                        "`key` file under [auth]"
                    )
                async with self._host.connect(
                    self._url, identity=key, expect=self._settings.expect
                ) as client:
                    assert isinstance(client, RemoteClient)
                    self._client, failures = client, 0
                    log.info("auth node is there", url=self._url)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._keep_asking)
                        await client.session.closed()
                        nursery.cancel_scope.cancel()
                why = "the link was lost"
            except (AlknetError, OSError) as error:
                why = str(error)
            finally:
                self._client = None
            failures += 1
            log.warning("auth node is away", url=self._url, why=why)
            await trio.sleep(backoff(failures, longest=_LONGEST_AWAY))

    async def _keep_asking(self) -> None:
        while True:
            await self._ask_again()
            await trio.sleep(self._settings.remember)

    async def _ask_again(self) -> int:
        """Ask about everybody who is in by its word, end what is not so now; return how many."""
        in_use = {each.credential for each in self._host.granted.values()}
        in_use |= {each.credential for each in self._sessions.openers()}
        for credential, known in list(self._known.items()):
            if credential not in in_use:
                if known.at + _HANDSHAKE_SECONDS < trio.current_time():
                    del self._known[credential]
                continue
            if known.question is None:
                continue
            try:
                verdict = await self._ask(known.question)
            except Unavailable:
                break
            is_same = isinstance(verdict, Granted) and verdict.identity == known.granted.identity
            if not is_same and self._known.get(credential) is known:
                del self._known[credential]
                self._forget()
        return self._end_links("its credential is good no longer, or for something else")

    def _forget(self) -> None:
        self._granted.clear()
        self._denied.clear()

    def _still_grants(self, granted: Granted) -> bool:
        if super()._still_grants(granted):
            return True
        credential = granted.credential
        if credential is None or credential.kind == "session":
            return False
        known = self._known.get(credential)
        return (
            known is not None
            and known.granted.identity == granted.identity
            and isinstance(self._checked(granted), Granted)
        )


def _is_over(verdict: Granted | Denied) -> bool:
    return (
        isinstance(verdict, Granted)
        and verdict.expires is not None
        and verdict.expires <= time.time()
    )
