"""SecretService: answers from the vault. Keys stay in Rust; what leaves is public or sealed."""

from functools import partial
from typing import Self

import trio

from alknet.call.context import Context
from alknet.errors import Forbidden, InvalidInput
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
    Lock,
    Password,
    Plaintext,
    Rotate,
    Sealed,
    Signature,
    SignEd25519,
    Status,
    Unlock,
    VaultStatus,
)
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler
from alknet.runtime.vault import OWN, Vault

FIRST_KEY_VERSION = 2
LAST_KEY_VERSION = FIRST_KEY_VERSION + 2**31 - 1
LONGEST_PASSWORD = 255


class SecretService(Service, namespace="secrets"):
    """Answers from the seed of the caller's tenant, which is the node's own for most callers."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.vault)

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
        tenant = _tenant(context)
        self._vault.lock(tenant)
        return self._status(tenant)

    @handler
    async def unlock(self, request: Unlock, context: Context) -> VaultStatus:
        # 2048 rounds of PBKDF2 take about a millisecond, in which others would wait for nothing.
        stretch = partial(Keyring.from_mnemonic, request.phrase, request.passphrase)
        tenant = _tenant(context) if request.tenant is None else request.tenant
        if _tenant(context) not in (OWN, tenant):
            raise Forbidden(
                f"a caller of the tenant {_tenant(context)!r} may not unlock for {tenant!r}"
            )
        self._vault.unlock(await trio.to_thread.run_sync(stretch), tenant)
        return self._status(tenant)

    @handler(concurrent=True)
    def status(self, _: Status, context: Context) -> VaultStatus:
        return self._status(_tenant(context))

    def _keyring(self, context: Context) -> Keyring:
        return self._vault.keyring(_tenant(context))

    def _status(self, tenant: str) -> VaultStatus:
        key = self._vault.identity(tenant)
        return VaultStatus(
            locked=self._vault.is_locked(tenant),
            memory_locked=memory_status().locked,
            identity=ssh_fingerprint(key.public_key) if key is not None else None,
        )


def _tenant(context: Context) -> str:
    return OWN if context.identity is None else context.identity.tenant


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
