"""The remote backend: an auth node is asked whose credential it is, beside those listed here.

What it has said is believed for some seconds (`remember`), and no longer: when it cannot be asked,
nobody is let in whom it would have to be asked about. Links that are open are asked about every so
many seconds too, and at once when it is back, so that what it has revoked ends them. While it is
away they stay for a while (`grace`), and end then. A signed token is good once, so it is asked
about each time.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, TypeVar

import msgspec
import structlog
import trio

from alknet.call.context import Context
from alknet.call.remote import RemoteClient
from alknet.errors import CallError, Unavailable
from alknet.protocol.auth import (
    Credential,
    Denied,
    Granted,
    KeyCount,
    ReloadKeys,
    StillGrants,
    VerifyCertificate,
    VerifyPubkey,
    VerifyToken,
)
from alknet.protocol.request import Request
from alknet.runtime.host import Host
from alknet.runtime.service import handler
from alknet.services.auth.base import Auth
from alknet.services.auth.keyset import AuthSettings
from alknet.services.auth.recent import Recent

log = structlog.get_logger("alknet.auth")

Reply = TypeVar("Reply")

_HOT: Final = 65_536
_MISSES: Final = 1_024
_ASK_SECONDS: Final = 5.0
# Between the answer and the link that it lets in lies a handshake, which may take its time.
_HANDSHAKE_SECONDS: Final = 60.0
# So many links are asked about at a time: some hundred KiB.
_AT_A_TIME: Final = 1_024


class _Answer(msgspec.Struct, frozen=True):
    verdict: Granted | Denied
    until: float


class _Known(msgspec.Struct, frozen=True):
    """What was said of a credential, and when (Trio's clock)."""

    granted: Granted
    at: float


class RemoteAuth(Auth, namespace="auth"):
    """Says whose credential it is by the word of another node.

    Raises:
        SettingsError: the key that we prove ourselves with there cannot be read, or the authorities
            that may vouch for it.
    """

    def __init__(self, settings: AuthSettings, host: Host) -> None:
        super().__init__(settings, host)
        assert settings.remote is not None
        self._node = host.link(
            "auth", settings.remote, expect=settings.expect, key=settings.key, ca=settings.ca
        )
        self._granted: Recent[bytes, _Answer] = Recent(_HOT)
        self._denied: Recent[bytes, _Answer] = Recent(_MISSES)
        self._known: dict[Credential, _Known] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._node.keep)
            nursery.start_soon(self._keep_asking)
            yield
            nursery.cancel_scope.cancel()

    @handler(concurrent=True)
    async def verify(self, request: VerifyPubkey, context: Context) -> Granted | Denied:
        verdict = await self._found(request, self._key_here(request))
        self._answers.noted(request, verdict, context)
        return verdict

    @handler(concurrent=True)
    async def verify_certificate(
        self, request: VerifyCertificate, context: Context
    ) -> Granted | Denied:
        verdict = await self._found(request, self._certificate_here(request))
        self._answers.noted(request, verdict, context)
        return verdict

    @handler(concurrent=True)
    async def verify_token(self, request: VerifyToken, context: Context) -> Granted | Denied:
        verdict = await self._found(request, self._token_here(request))
        self._answers.noted(request, verdict, context)
        return verdict

    @handler
    async def reload(self, request: ReloadKeys) -> KeyCount:
        self._forget()
        count = await super().reload(request)
        try:
            ended = await self._ask_again()
        except Unavailable as error:
            log.warning("links not looked through", why=str(error))
            return count
        return msgspec.structs.replace(count, ended=count.ended + ended)

    async def _found(
        self, request: VerifyPubkey | VerifyCertificate | VerifyToken, here: Granted | Denied
    ) -> Granted | Denied:
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
        is_good_once = isinstance(request, VerifyToken) and credential.kind == "key"
        if not is_good_once:
            self._granted.put(mark, answer)
        self._known[credential] = _Known(verdict, now)
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

    async def _ask(self, request: Request[Reply]) -> Reply:
        try:
            client = RemoteClient(self._node.asked(request.__operation__.name))
            return await client.call(request, timeout=_ASK_SECONDS)
        except CallError as error:
            raise Unavailable(
                f"the auth node cannot be asked who this is ({error}), so nobody is let in by its "
                f"word: try again when it is back"
            ) from error

    async def _keep_asking(self) -> None:
        """Ask about the links that are open every so often, and when the auth node is back."""
        asked = trio.current_time()
        while True:
            changed = self._node.changed
            try:
                await self._ask_again()
                asked = trio.current_time()
            except Unavailable as error:
                if trio.current_time() >= asked + self._settings.grace:
                    self._end_unconfirmed(str(error))
            left = asked + self._settings.grace - trio.current_time()
            pause = self._settings.remember
            with trio.move_on_after(min(pause, left) if left > 0 else pause):
                await changed.wait()

    async def _ask_again(self) -> int:
        """Ask about everybody who is in by its word, end what is not so now; return how many.

        Raises:
            Unavailable: it cannot be asked.
        """
        in_use = {each.credential for each in self._host.granted.values()}
        in_use |= {each.credential for each in self._sessions.openers()}
        asked = []
        for credential, known in list(self._known.items()):
            if credential in in_use:
                asked.append((credential, known))
            elif known.at + _HANDSHAKE_SECONDS < trio.current_time():
                del self._known[credential]
        rest = iter(asked)
        while some := list(islice(rest, _AT_A_TIME)):
            answers = await self._ask(StillGrants(tuple(known.granted for _, known in some)))
            for (credential, known), is_good in zip(some, answers, strict=True):
                if not is_good and self._known.get(credential) is known:
                    del self._known[credential]
                    self._forget()
        return self._end_links("its credential is good no longer, or for something else")

    def _end_unconfirmed(self, why: str) -> None:
        """End the links that are in by the word of the auth node, which cannot be asked."""
        self._known.clear()
        self._forget()
        self._end_links(f"nobody could confirm its credential for too long: {why}")

    def _forget(self) -> None:
        self._granted.clear()
        self._denied.clear()

    def _still_grants(self, granted: Granted) -> bool:
        if super()._still_grants(granted):
            return True
        credential = granted.credential
        known = None if credential is None else self._known.get(credential)
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
