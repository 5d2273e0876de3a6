"""A seed and keys for tests: the same in every run, and plainly nobody's."""

import hashlib
from functools import cache
from typing import Final

from alknet.keys import Ed25519Key, Keyring

PHRASE: Final = "test test test test test test test test test test test junk"
"""The recovery phrase of every test node: valid, and known to the whole world."""


def keyring() -> Keyring:
    """Return a keyring of PHRASE, to unlock a test node with; locking it locks no other."""
    return Keyring.from_mnemonic(PHRASE)


@cache
def key(name: str) -> Ed25519Key:
    """Return the key of the test peer called *name*: another for each name, never locked."""
    # Device keys stand at m/74'/0'/0'/{n}', from 1: 0 is the node's own identity.
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % (2**31 - 1) + 1
    return _everybodys_keyring().ed25519(f"m/74'/0'/0'/{number}'")


@cache
def _everybodys_keyring() -> Keyring:
    # A key dies with its keyring, so this one is kept.
    return keyring()
