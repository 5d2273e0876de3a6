"""Derivation, sealing and signing, against the libraries that a Python program would use today.

Nothing is kept between two rounds that a user would not have kept: a row that says "from a seed"
makes the keyring each time, and the caches of a keyring that is kept are turned off where the row
is about deriving.
"""

import base64
import os
from dataclasses import dataclass

from alknet.keys import Ed25519Key, Keyring, verify_ed25519
from benches.harness import Pair, row

PHRASE = "abandon " * 11 + "about"
SEED = bytes(range(64))
MESSAGE = bytes(range(200))
SIBLINGS = 1000


@row("derive_ed25519", peer="bip-utils", goal=10)
def derive_ed25519() -> Pair:
    """The private and the public key at m/74'/0'/0'/0', from a seed."""
    from bip_utils import Bip32Slip10Ed25519

    path = "m/74'/0'/0'/0'"

    def ours() -> tuple[bytes, bytes]:
        key = Keyring.from_seed(SEED).ed25519(path)
        return key.reveal_private_key(), key.public_key

    def peer() -> tuple[bytes, bytes]:
        node = Bip32Slip10Ed25519.FromSeed(SEED).DerivePath(path[2:])
        public = node.PublicKey().RawCompressed().ToBytes()
        return node.PrivateKey().Raw().ToBytes(), public[1:]

    return Pair(ours, peer, same=lambda: ours() == peer())


@row("derive_ed25519_siblings", peer="bip-utils, parent kept", goal=1.8)
def derive_ed25519_siblings() -> Pair:
    """1000 keys of m/74'/0'/0'/{n}', private and public; the figures are for one."""
    from bip_utils import Bip32KeyIndex, Bip32Slip10Ed25519

    keyring = Keyring.from_seed(SEED, cache_entries=0)
    parent = Bip32Slip10Ed25519.FromSeed(SEED).DerivePath("74'/0'/0'")

    def ours() -> list[bytes]:
        return [key.public_key for key in keyring.ed25519_batch("m/74'/0'/0'", 0, SIBLINGS)]

    def peer() -> list[bytes]:
        return [
            parent.ChildKey(Bip32KeyIndex.HardenIndex(n)).PublicKey().RawCompressed().ToBytes()[1:]
            for n in range(SIBLINGS)
        ]

    return Pair(ours, peer, divisor=SIBLINGS, same=lambda: ours() == peer())


@row("derive_ethereum", peer="eth-account", goal=5)
def derive_ethereum() -> Pair:
    """The private key and the address at m/44'/60'/0'/0/0, from a seed."""
    from eth_account import Account
    from eth_account.hdaccount import key_from_seed

    path = "m/44'/60'/0'/0/0"

    def ours() -> str:
        return Keyring.from_seed(SEED).secp256k1(path).ethereum_address

    def peer() -> str:
        return str(Account.from_key(key_from_seed(SEED, path)).address)

    return Pair(ours, peer, same=lambda: ours() == peer())


@row("mnemonic_to_seed", peer="bip-utils", goal=1.4)
def mnemonic_to_seed() -> Pair:
    """A phrase of 12 words, checked and stretched; ours ends in a keyring, as that holds it."""
    from bip_utils import Bip32Slip10Secp256k1, Bip39SeedGenerator

    def ours() -> Keyring:
        return Keyring.from_mnemonic(PHRASE)

    def peer() -> bytes:
        return bytes(Bip39SeedGenerator(PHRASE).Generate())

    def same() -> bool:
        root = Bip32Slip10Secp256k1.FromSeed(peer())
        return ours().extended("m").reveal() == root.PrivateKey().ToExtended()

    return Pair(ours, peer, same=same)


@dataclass(slots=True)
class Blob:
    """EncryptedData as one writes it in plain Python."""

    key_version: int
    salt: str
    iv: str
    data: str


def _sealing(size: int, *, opening: bool) -> Pair:
    """The peer keeps its AESGCM; ours is a keyring, which expands the key at each call."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    text = "x" * size
    keyring = Keyring.from_seed(SEED)
    cipher = AESGCM(keyring.ed25519("m/74'/2'/0'/0'").reveal_private_key())

    def seal() -> Blob:
        salt, iv = os.urandom(32), os.urandom(12)
        data = cipher.encrypt(iv, text.encode(), None)
        encode = base64.b64encode
        return Blob(2, encode(salt).decode(), encode(iv).decode(), encode(data).decode())

    def unseal(blob: Blob) -> bytes:
        return cipher.decrypt(base64.b64decode(blob.iv), base64.b64decode(blob.data), None)

    sealed, blob = keyring.seal(text), seal()

    def same() -> bool:
        theirs = Blob(sealed.key_version, sealed.salt, sealed.iv, sealed.data)
        return keyring.open(sealed) == unseal(theirs) == unseal(blob) == text.encode()

    if opening:
        return Pair(lambda: keyring.open(sealed), lambda: unseal(blob), same=same)
    return Pair(lambda: keyring.seal(text), seal, same=same)


@row("seal_64", peer="cryptography + base64", goal=2)
def seal_64() -> Pair:
    """EncryptedData of 64 bytes: str in, object out."""
    return _sealing(64, opening=False)


@row("open_64", peer="cryptography + base64", goal=1.5)
def open_64() -> Pair:
    """EncryptedData of 64 bytes: object in, bytes out."""
    return _sealing(64, opening=True)


@row("seal_64k", peer="cryptography + base64", goal=6)
def seal_64k() -> Pair:
    """EncryptedData of 64 KiB: str in, object out."""
    return _sealing(65536, opening=False)


@row("open_64k", peer="cryptography + base64", goal=12)
def open_64k() -> Pair:
    """EncryptedData of 64 KiB: object in, bytes out."""
    return _sealing(65536, opening=True)


@row("sign_ed25519", peer="cryptography", goal=1.5)
def sign_ed25519() -> Pair:
    """200 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    ours = Ed25519Key.from_private_key(SEED[:32])
    peer = Ed25519PrivateKey.from_private_bytes(SEED[:32])
    same = lambda: ours.sign(MESSAGE) == peer.sign(MESSAGE)  # noqa: E731 - one line, one use
    return Pair(lambda: ours.sign(MESSAGE), lambda: peer.sign(MESSAGE), same=same)


@row("verify_ed25519", peer="cryptography", goal=2)
def verify_ed25519_row() -> Pair:
    """200 bytes, and a public key of which there is an object on the peer's side."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519Key.from_private_key(SEED[:32])
    public, signature = key.public_key, key.sign(MESSAGE)
    peer = Ed25519PublicKey.from_public_bytes(public)
    return Pair(
        lambda: verify_ed25519(public, MESSAGE, signature), lambda: peer.verify(signature, MESSAGE)
    )
