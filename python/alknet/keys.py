"""Keys that grow out of one phrase, and what they seal and sign: the face of the Rust vault.

::

    keyring = Keyring.from_mnemonic(phrase)
    identity = keyring.ed25519("m/74'/0'/0'/0'")
    signature = identity.sign(message)
    verify_ed25519(identity.public_key, message, signature)      # raises BadSignature
    sealed = keyring.seal("a secret", associated_data=b"record 7")
    keyring.open(sealed, associated_data=b"record 7")
    keyring.lock()                                               # identity is dead too

The seed and everything derived from it stay in Rust. What this module hands out are handles: they
sign, seal and open, print as nothing, and cannot be pickled. `Keyring.lock()` wipes the seed and
kills every handle that came from it. `memory_status()` says how well the secrets are kept.

So that no one person holds the phrase, `split_mnemonic(phrase, 2, 3)` shares it out (SLIP-0039),
and a `ShareSet` takes two of the three shares and gives the keyring.

Wherever a path is wanted, `str` and `DerivationPath` both do; wherever bytes are wanted, anything
bytes-like does, so that a caller can wipe the `bytearray` it passed.
"""

import base64
from typing import Final

from alknet._core.aead import EncryptedData, aes_gcm_open, aes_gcm_seal
from alknet._core.sign import (
    Ed25519Key,
    Secp256k1Key,
    ethereum_address,
    parse_ssh_public_line,
    recover_public_key,
    ssh_fingerprint,
    ssh_public_line,
    verify_digest,
    verify_ed25519,
    verify_schnorr,
)
from alknet._core.vault import (
    DEFAULT_ALPHABET as _DEFAULT_ALPHABET,
)
from alknet._core.vault import (
    DerivationPath,
    ExtendedPrivateKey,
    ExtendedPublicKey,
    Keyring,
    MemoryStatus,
    ShareSet,
    check_mnemonic,
    check_share,
    disable_core_dumps,
    generate_mnemonic,
    memory_status,
    nearest_share_word,
    site_path,
    split_mnemonic,
)
from alknet.errors import BadKey

DEFAULT_ALPHABET: Final = _DEFAULT_ALPHABET
"""What `Keyring.password_text` writes with: A-Z, a-z, 0-9, `-` and `_`."""

__all__ = [
    "DEFAULT_ALPHABET",
    "CertifiedKey",
    "DerivationPath",
    "Ed25519Key",
    "EncryptedData",
    "ExtendedPrivateKey",
    "ExtendedPublicKey",
    "Keyring",
    "MemoryStatus",
    "Secp256k1Key",
    "ShareSet",
    "aes_gcm_open",
    "aes_gcm_seal",
    "check_mnemonic",
    "check_share",
    "disable_core_dumps",
    "ethereum_address",
    "generate_mnemonic",
    "memory_status",
    "nearest_share_word",
    "parse_ssh_public_line",
    "recover_public_key",
    "site_path",
    "split_mnemonic",
    "ssh_fingerprint",
    "ssh_public_line",
    "verify_digest",
    "verify_ed25519",
    "verify_schnorr",
]

_CERTIFICATE: Final = "ssh-ed25519-cert-v01@openssh.com"


class CertifiedKey:
    """An Ed25519 key with the SSH certificate that says whose it is (PROTOCOL.certkeys).

    *certificate* is the line that `ssh-keygen -s` writes to `id_ed25519-cert.pub`. Whether it is
    good is for the node to say to which it is shown.

    Raises:
        BadKey: it is no such line.
    """

    def __init__(self, key: Ed25519Key, certificate: str) -> None:
        kind, _, rest = certificate.strip().partition(" ")
        try:
            if kind != _CERTIFICATE or not rest:
                raise ValueError
            self.certificate = base64.b64decode(rest.split()[0], validate=True)
        except ValueError:
            raise BadKey(f"this is no line with an {_CERTIFICATE} certificate") from None
        self._key = key

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._key.public_key

    def sign(self, message: bytes) -> bytes:
        """Return the key's signature, 64 bytes, over *message*."""
        return self._key.sign(message)
