"""What one may ask of the vault: public keys, signatures' owners, sealed data, passwords.

No request brings a private key out. Each is answered from the seed of the caller's tenant. Every
path is a BIP-32 path with `'`, `h` or `H` for hardened.
"""

import msgspec

from alknet.protocol.request import Request, Subscription, operation


class PublicKey(msgspec.Struct, frozen=True):
    """The public half of a derived key.

    `public_key` is 32 bytes for Ed25519 (RFC 8032) and 33, compressed, for secp256k1 (SEC 1).
    """

    algorithm: str
    path: str
    public_key: bytes


class Ed25519PublicKey(PublicKey, frozen=True):
    """An Ed25519 public key and its OpenSSH fingerprint, `SHA256:` and unpadded base64."""

    fingerprint: str


class EthereumKey(PublicKey, frozen=True):
    """A secp256k1 public key and its address with the checksum of EIP-55."""

    address: str


class EncryptionKey(msgspec.Struct, frozen=True):
    """Where the key of a key_version lives; the key itself stays in the vault."""

    key_version: int
    path: str


class Sealed(msgspec.Struct, frozen=True):
    """EncryptedData: AES-256-GCM, each field in standard base64 but the version.

    `salt` is 32 bytes, `iv` 12, and `data` the ciphertext with its 16-byte tag at the end.
    """

    key_version: int
    salt: str
    iv: str
    data: str


class Plaintext(msgspec.Struct, frozen=True):
    """What a Sealed held."""

    data: bytes

    def __repr__(self) -> str:
        return f"Plaintext(<{len(self.data)} bytes>)"


class Signature(msgspec.Struct, frozen=True):
    """A signature (64 bytes for Ed25519) and the public key that it is by."""

    public_key: bytes
    signature: bytes


class Password(msgspec.Struct, frozen=True):
    """The password of a site; the same seed, site and length always give the same one."""

    password: str

    def __repr__(self) -> str:
        return "Password(<redacted>)"


class VaultStatus(msgspec.Struct, frozen=True):
    """Whether the vault can derive, and whether its memory is kept out of swap.

    While it is locked, `shares_given` of its phrase wait for at least `shares_missing` more.
    """

    locked: bool
    memory_locked: bool
    identity: str | None = None
    shares_given: int = 0
    shares_missing: int = 0


class SharesGiven(msgspec.Struct, frozen=True):
    """How many shares of the phrase were given, and how many are missing still.

    With none missing the vault has been unlocked, and no share is kept.
    """

    given: int
    missing: int
    status: VaultStatus


class VaultEpoch(msgspec.Struct, frozen=True):
    """Whether the vault is locked now. `epoch` is another after each lock, whatever came since."""

    locked: bool
    epoch: str


@operation("secrets/derive", kind="mutation", scopes=("secrets:derive",), idempotent=True)
class DeriveEd25519(Request[Ed25519PublicKey], frozen=True):
    """Derive the Ed25519 key at `path` (SLIP-0010, hardened steps only); return its public half."""

    path: str


@operation("secrets/encryption-key", kind="mutation", scopes=("secrets:derive",), idempotent=True)
class DeriveEncryptionKey(Request[EncryptionKey], frozen=True):
    """Derive the encryption key of `key_version` (2 is the first) and keep it in the vault."""

    key_version: int = 2


@operation("secrets/ethereum", kind="mutation", scopes=("secrets:derive",), idempotent=True)
class DeriveEthereumKey(Request[EthereumKey], frozen=True):
    """Derive the secp256k1 key at `path` (BIP-32); return its public half and its address."""

    path: str = "m/44'/60'/0'/0/0"


@operation(
    "secrets/password",
    kind="mutation",
    scopes=("secrets:password",),
    idempotent=True,
    confidential=True,
)
class DerivePassword(Request[Password], frozen=True):
    """Derive the password of `site`, `length` characters long."""

    site: str
    length: int = 24


@operation("secrets/encrypt", kind="mutation", scopes=("secrets:encrypt",), idempotent=True)
class Encrypt(Request[Sealed], frozen=True):
    """Seal `data` under the key of `key_version`.

    `associated_data` is not stored; the same bytes are needed to open, so that a sealed value
    cannot be moved to another place.
    """

    data: bytes
    key_version: int = 2
    associated_data: bytes = b""

    def __repr__(self) -> str:
        return f"Encrypt(<{len(self.data)} bytes>, key_version={self.key_version})"


@operation("secrets/decrypt", kind="mutation", scopes=("secrets:decrypt",), idempotent=True)
class Decrypt(Request[Plaintext], frozen=True):
    """Open what Encrypt sealed, given the same `associated_data`."""

    sealed: Sealed
    associated_data: bytes = b""


@operation("secrets/rotate", kind="mutation", scopes=("secrets:encrypt", "secrets:decrypt"))
class Rotate(Request[Sealed], frozen=True):
    """Seal anew, under the key of `to_version`, what Encrypt sealed; the plaintext stays inside."""

    sealed: Sealed
    to_version: int
    associated_data: bytes = b""


@operation("secrets/sign", kind="mutation", scopes=("secrets:sign",), idempotent=True)
class SignEd25519(Request[Signature], frozen=True):
    """Sign `message` with the Ed25519 key at `path` (RFC 8032), which never leaves the vault."""

    path: str
    message: bytes


@operation("secrets/lock", kind="mutation", scopes=("secrets:lock",), idempotent=True)
class Lock(Request[VaultStatus], frozen=True):
    """Wipe the seed and everything derived from it; a vault that is locked already stays so.

    Shares that were given to unlock it are wiped too.
    """


@operation("secrets/unlock", kind="mutation", scopes=("secrets:unlock",), confidential=True)
class Unlock(Request[VaultStatus], frozen=True):
    """Load the seed of a BIP-39 recovery `phrase` and its optional `passphrase`.

    It is held for the caller's tenant or, if a caller of the node's own says so, for `tenant`.

    It is taken from the machine itself; from others, over TLS, only where `remote_unlock` says so,
    and from peers to whom `secrets:unlock` was granted by its name.
    """

    phrase: str
    passphrase: str = ""
    tenant: str | None = None

    def __repr__(self) -> str:
        return "Unlock(phrase=<redacted>, passphrase=<redacted>)"


@operation("secrets/give-share", kind="mutation", scopes=("secrets:unlock",), confidential=True)
class GiveShare(Request[SharesGiven], frozen=True):
    """Give one `share` of the recovery phrase (SLIP-0039); with the last that is needed, unlock.

    They may come from several callers, each as `secrets/unlock` allows it, and are kept for some
    minutes. `passphrase` is that of BIP-39, and counts when it comes with the last. A share that is
    refused costs none of the others; shares that do not unlock the vault, all given, are dropped.
    """

    share: str
    passphrase: str = ""
    tenant: str | None = None

    def __repr__(self) -> str:
        return "GiveShare(share=<redacted>, passphrase=<redacted>)"


@operation("secrets/watch", any_scopes=("secrets:status", "secrets:derive"))
class WatchVault(Subscription[VaultEpoch], frozen=True):
    """Tell whether the vault is locked, now and whenever something in it is locked or unlocked.

    Who keeps what was derived drops it when the epoch is another.
    """


@operation("secrets/status", scopes=("secrets:status",))
class Status(Request[VaultStatus], frozen=True):
    """Say whether the vault is locked and which identity it gives this node."""
