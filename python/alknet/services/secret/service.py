"""SecretService: answers from the vault. Keys stay in Rust; what leaves is public or sealed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Self

import msgspec
import structlog
import trio

from alknet.call.context import Context
from alknet.errors import AlreadyUnlocked, CallError, Forbidden, InvalidInput, NotFound
from alknet.keys import (
    DEFAULT_ALPHABET,
    EncryptedData,
    Keyring,
    memory_status,
    site_path,
    ssh_fingerprint,
)
from alknet.protocol.secret import (
    Decrypt,
    DeriveEd25519,
    DeriveEncryptionKey,
    DeriveEthereumKey,
    DerivePassword,
    Ed25519PublicKey,
    Encrypt,
    EncryptionKey,
    EthereumKey,
    GiveShare,
    Lock,
    Password,
    Plaintext,
    Rotate,
    Sealed,
    SharesGiven,
    Signature,
    SignEd25519,
    Status,
    Unlock,
    VaultEpoch,
    VaultStatus,
    WatchVault,
)
from alknet.protocol.storage.record import RecordAudit
from alknet.runtime.background import open_background
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler
from alknet.runtime.vault import OWN
from alknet.services.secret.door import Door
from alknet.services.secret.gathering import Gathering

log = structlog.get_logger("alknet.secrets")

FIRST_KEY_VERSION = 2
LAST_KEY_VERSION = FIRST_KEY_VERSION + 2**31 - 1
LONGEST_PASSWORD = 255


class SecretSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [secrets] of stack.toml.

    With `remote_unlock`, peers on other machines may unlock the vault too: those to whom
    `secrets:unlock` was granted by its name, over TLS, by their own key. `share_seconds` is for how
    long shares of the phrase are kept while others are waited for.
    """

    remote_unlock: bool = False
    share_seconds: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 600.0


class SecretService(Service, namespace="secrets"):
    """Answers from the seed of the caller's tenant, which is the node's own for most callers.

    With *is_own_only*, another node answers for seeds, and this holds what the node itself is: no
    tenant's.
    """

    settings_type = SecretSettings
    at_home = (Lock, Unlock, GiveShare, Status)

    def __init__(self, settings: SecretSettings, host: Host, *, is_own_only: bool = False) -> None:
        self._vault = host.vault
        self._door = Door(host, is_open=settings.remote_unlock)
        self._gathering = Gathering(settings.share_seconds)
        self._is_own_only = is_own_only

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.section(cls.namespace), host)

    @classmethod
    def create_at_home(cls, host: Host, table: Any) -> Self:
        # Settings made in Python may be those of any service elsewhere, and say less.
        said = (name for name in SecretSettings.__struct_fields__ if hasattr(table, name))
        settings = SecretSettings(**{name: getattr(table, name) for name in said})
        return cls(settings, host, is_own_only=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with open_background() as nursery:
                nursery.start_soon(self._gathering.wipe_in_time)
                yield
        finally:
            self._gathering.close()

    @handler(concurrent=True)
    def derive(self, request: DeriveEd25519, context: Context) -> Ed25519PublicKey:
        key = self._keyring(context).ed25519(request.path)
        return Ed25519PublicKey(
            algorithm="ed25519",
            path=request.path,
            public_key=key.public_key,
            fingerprint=ssh_fingerprint(key.public_key),
        )

    @handler(concurrent=True)
    def encryption_key(self, request: DeriveEncryptionKey, context: Context) -> EncryptionKey:
        path = encryption_path(request.key_version)
        self._keyring(context).ed25519(path)
        return EncryptionKey(key_version=request.key_version, path=path)

    @handler(concurrent=True)
    def ethereum(self, request: DeriveEthereumKey, context: Context) -> EthereumKey:
        key = self._keyring(context).secp256k1(request.path)
        return EthereumKey(
            algorithm="secp256k1",
            path=request.path,
            public_key=key.public_key,
            address=key.ethereum_address,
        )

    @handler(concurrent=True)
    def password(self, request: DerivePassword, context: Context) -> Password:
        if not 1 <= request.length <= LONGEST_PASSWORD:
            raise InvalidInput(
                f"a password of {request.length} characters cannot be made: "
                f"`length` is 1 to {LONGEST_PASSWORD}",
                details={"field": "length"},
            )
        keyring = self._keyring(context)
        text = keyring.password_text(site_path(request.site), request.length, DEFAULT_ALPHABET)
        return Password(text)

    @handler(concurrent=True)
    def encrypt(self, request: Encrypt, context: Context) -> Sealed:
        encryption_path(request.key_version)
        sealed = self._keyring(context).seal(
            request.data,
            key_version=request.key_version,
            associated_data=request.associated_data,
        )
        return Sealed(sealed.key_version, sealed.salt, sealed.iv, sealed.data)

    @handler(concurrent=True)
    def decrypt(self, request: Decrypt, context: Context) -> Plaintext:
        keyring, encrypted = self._keyring(context), _encrypted(request.sealed)
        return Plaintext(keyring.open(encrypted, associated_data=request.associated_data))

    @handler(concurrent=True)
    def rotate(self, request: Rotate, context: Context) -> Sealed:
        encryption_path(request.to_version)
        sealed = self._keyring(context).rotate(
            _encrypted(request.sealed),
            request.to_version,
            associated_data=request.associated_data,
        )
        return Sealed(sealed.key_version, sealed.salt, sealed.iv, sealed.data)

    @handler(concurrent=True)
    def sign(self, request: SignEd25519, context: Context) -> Signature:
        key = self._keyring(context).ed25519(request.path)
        return Signature(public_key=key.public_key, signature=key.sign(request.message))

    @handler
    async def lock(self, _: Lock, context: Context) -> VaultStatus:
        tenant = self._tenant(context)
        self._gathering.drop(tenant)
        self._vault.lock(tenant)
        return self._status(tenant)

    @handler(uses=(RecordAudit,))
    async def unlock(self, request: Unlock, context: Context) -> VaultStatus:
        tenant = await self._admitted(request.tenant, context)
        # 2048 rounds of PBKDF2 take about a millisecond, in which others would wait for nothing.
        stretch = partial(Keyring.from_mnemonic, request.phrase, request.passphrase)
        return await self._unlocked(stretch, tenant, context)

    @handler(uses=(RecordAudit,))
    async def give_share(self, request: GiveShare, context: Context) -> SharesGiven:
        tenant = await self._admitted(request.tenant, context)
        if not self._vault.is_locked(tenant):
            raise AlreadyUnlocked("the vault is unlocked already: no share is needed")
        shares = self._gathering.give(tenant, request.share)
        given, missing = self._gathering.waiting(tenant)
        await self._note("secrets.share-given", context, missing=missing)
        if missing:
            return SharesGiven(given, missing, self._status(tenant))
        try:
            await self._unlocked(partial(shares.keyring, request.passphrase), tenant, context)
        except InvalidInput as error:
            raise type(error)(
                f"{error.message}; the {given} shares were dropped, all of them must be given again"
            ) from None
        finally:
            self._gathering.drop(tenant)
        return SharesGiven(given, 0, self._status(tenant))

    @handler(concurrent=True)
    def status(self, _: Status, context: Context) -> VaultStatus:
        return self._status(self._tenant(context))

    @handler(concurrent=True, endless=True)
    async def watch(self, _: WatchVault, context: Context) -> AsyncIterator[VaultEpoch]:
        tenant = self._tenant(context)
        while True:
            changed = self._vault.changed
            yield VaultEpoch(self._vault.is_locked(tenant), self._vault.epoch)
            await changed.wait()

    async def _admitted(self, wanted: str | None, context: Context) -> str:
        """Return the tenant that the caller may unlock for.

        Raises:
            Forbidden, RateLimited: it may not, or not now.
        """
        try:
            self._door.check(context)
            own = self._tenant(context)
            tenant = own if wanted is None else wanted
            if own not in (OWN, tenant):
                raise Forbidden(f"a caller of the tenant {own!r} may not unlock for {tenant!r}")
            if self._is_own_only and tenant != OWN:
                raise Forbidden(
                    f"the seed of the tenant {tenant!r} belongs into the node that answers for "
                    f"[secrets] here: unlock it there"
                )
        except CallError as error:
            await self._note("secrets.unlock-refused", context, why=error.code)
            raise
        return tenant

    async def _unlocked(
        self, stretch: Callable[[], Keyring], tenant: str, context: Context
    ) -> VaultStatus:
        try:
            self._vault.unlock(await trio.to_thread.run_sync(stretch), tenant)
        except CallError as error:
            await self._note("secrets.unlock-refused", context, why=error.code)
            raise
        await self._note("secrets.unlocked", context, tenant=tenant)
        return self._status(tenant)

    async def _note(self, action: str, context: Context, **details: Any) -> None:
        """Have it in the log and, where there is one, in the audit log: who, and from where."""
        caller, session = context.identity, context.session
        subject = "" if caller is None else caller.id
        remote = None if session is None else session.link.peer_address
        log.warning(action, caller=subject, remote=remote, **details)
        try:
            await context.env.call(RecordAudit(action, subject, {"remote": remote, **details}))
        except NotFound:
            pass  # This node keeps no audit log.
        except CallError as error:
            log.error("audit log not written", action=action, why=str(error))

    @staticmethod
    def _tenant(context: Context) -> str:
        return OWN if context.identity is None else context.identity.tenant

    def _keyring(self, context: Context) -> Keyring:
        return self._vault.keyring(self._tenant(context))

    def _status(self, tenant: str) -> VaultStatus:
        key = self._vault.identity(tenant)
        given, missing = self._gathering.waiting(tenant)
        return VaultStatus(
            locked=self._vault.is_locked(tenant),
            memory_locked=memory_status().locked,
            identity=ssh_fingerprint(key.public_key) if key is not None else None,
            shares_given=given,
            shares_missing=missing,
        )


def _encrypted(sealed: Sealed) -> EncryptedData:
    encryption_path(sealed.key_version)
    return EncryptedData(
        key_version=sealed.key_version, salt=sealed.salt, iv=sealed.iv, data=sealed.data
    )


def encryption_path(key_version: int) -> str:
    """Return the path of the encryption key of *key_version*.

    Raises:
        InvalidInput: no key of that version is derived from a seed.
    """
    if not FIRST_KEY_VERSION <= key_version <= LAST_KEY_VERSION:
        raise InvalidInput(
            f"key_version {key_version} has no derived key: {FIRST_KEY_VERSION} is the first and "
            f"{LAST_KEY_VERSION} the last",
            details={"field": "key_version"},
        )
    return f"m/74'/2'/0'/{key_version - FIRST_KEY_VERSION}'"
