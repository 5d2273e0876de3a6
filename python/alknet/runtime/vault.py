"""Vault: the node's seed, and those of its tenants, while they are unlocked."""

import secrets
from itertools import count

import trio

from alknet.errors import AlreadyUnlocked, BadMnemonic, Locked
from alknet.keys import Ed25519Key, Keyring, ssh_fingerprint

# Purpose level 74' (BIP-43) collides with no registered purpose. As a coin type (SLIP-0044), 74
# belongs to ICON, so it must stand nowhere else.
IDENTITY_PATH = "m/74'/0'/0'/0'"
# What the node shows to those who come over SSH.
HOST_KEY_PATH = "m/74'/0'/1'/0'"

# The tenant of everybody who is given none: the seed that the node itself grows from.
OWN = ""


class Vault:
    """Holds at most one keyring for each tenant, and says Locked where it holds none.

    The node's own seed is that of the tenant `OWN`. What is done for one tenant never touches
    another. With *expect*, the fingerprint of an identity, it holds no keyring of its own that
    gives another: a phrase can be good and still be the wrong one, and every key derived from it
    would be too. `epoch` is another after each lock of any of them.

    Raises:
        BadMnemonic: *keyring* gives another identity; it has been locked.
    """

    def __init__(self, keyring: Keyring | None = None, *, expect: str | None = None) -> None:
        self._expect = expect
        # Not to be mistaken for one of this node's before it was started anew.
        self._life = secrets.token_hex(8)
        self._locks = count(1)
        self._changed = trio.Event()
        self.epoch = f"{self._life}-0"
        self._keyrings: dict[str, Keyring] = {}
        if keyring is not None:
            self.unlock(keyring)

    def keyring(self, tenant: str = OWN) -> Keyring:
        """Return the keyring of *tenant*.

        Raises:
            Locked: there is none.
        """
        keyring = self._keyrings.get(tenant)
        if keyring is None or keyring.is_locked:
            whose = f" for the tenant {tenant!r}" if tenant else ""
            raise Locked(
                f"the vault is locked{whose}: unlock it with the recovery phrase (alknet unlock)"
            )
        return keyring

    def is_locked(self, tenant: str = OWN) -> bool:
        """Whether nothing can be derived for *tenant* now."""
        keyring = self._keyrings.get(tenant)
        return keyring is None or keyring.is_locked

    def identity(self, tenant: str = OWN) -> Ed25519Key | None:
        """Return the identity key of *tenant*, or None while it is locked.

        The one of `OWN` is what this node proves itself with.
        """
        return None if self.is_locked(tenant) else self.keyring(tenant).ed25519(IDENTITY_PATH)

    def host_key(self) -> Ed25519Key | None:
        """Return the key that this node shows to those who come over SSH, or None while locked."""
        return None if self.is_locked() else self.keyring().ed25519(HOST_KEY_PATH)

    def unlock(self, keyring: Keyring, tenant: str = OWN) -> None:
        """Hold *keyring* for *tenant* from now on.

        Raises:
            AlreadyUnlocked: there is one already; it stays, and *keyring* is locked.
            BadMnemonic: it gives another identity than is expected here; it is locked.
        """
        if not self.is_locked(tenant):
            keyring.lock()
            raise AlreadyUnlocked("the vault is unlocked already; lock it first to change the seed")
        if self._expect is not None and tenant == OWN:
            found = ssh_fingerprint(keyring.ed25519(IDENTITY_PATH).public_key)
            if found != self._expect:
                keyring.lock()
                raise BadMnemonic(
                    f"the recovery phrase, or its passphrase, is another node's: it gives the "
                    f"identity {found}, and `identity` under [node] says {self._expect}"
                )
        self._keyrings[tenant] = keyring
        self._change()

    def lock(self, tenant: str = OWN) -> None:
        """Wipe the seed of *tenant* and kill every handle derived from it."""
        keyring = self._keyrings.pop(tenant, None)
        if keyring is not None:
            keyring.lock()
            self.epoch = f"{self._life}-{next(self._locks)}"
            self._change()

    @property
    def changed(self) -> trio.Event:
        """An event that is set when next a seed is locked or unlocked."""
        return self._changed

    def _change(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def close(self) -> None:
        """Wipe every seed."""
        for tenant in list(self._keyrings):
            self.lock(tenant)
