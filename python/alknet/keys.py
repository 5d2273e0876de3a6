"""Keys that grow out of one phrase, and what they seal and sign: the face of the Rust vault.

The seed and everything derived from it stay in Rust. What this module hands out are handles: they
sign, seal and open, print as nothing, and cannot be pickled. `Keyring.lock()` wipes the seed and
kills every handle that came from it.
"""

from alknet._core.aead import EncryptedData, aes_gcm_open, aes_gcm_seal
from alknet._core.sign import Ed25519Key, Secp256k1Key, verify_ed25519
from alknet._core.vault import DerivationPath, Keyring, check_mnemonic, generate_mnemonic

__all__ = [
    "DerivationPath",
    "Ed25519Key",
    "EncryptedData",
    "Keyring",
    "Secp256k1Key",
    "aes_gcm_open",
    "aes_gcm_seal",
    "check_mnemonic",
    "generate_mnemonic",
    "verify_ed25519",
]
from alknet.openssh import *
