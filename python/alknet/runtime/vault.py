"""Vault: the node's seed, while it is unlocked."""

from alknet.errors import AlreadyUnlocked, BadMnemonic, Locked
from alknet.keys import Ed25519Key, Keyring, ssh_fingerprint

# Purpose level 74' (BIP-43) collides with no registered purpose. As a coin type (SLIP-0044), 74
# belongs to ICON, so it must stand nowhere else.
IDENTITY_PATH = "m/74'/0'/0'/0'"


class Vault:
    """Holds at most one keyring, and says Locked while it holds none.

    With *expect*, the fingerprint of an identity, it holds no keyring that gives another: a phrase
    can be good and still be the wrong one, and every key derived from it would be too.

    Raises:
        BadMnemonic: *keyring* gives another identity; it has been locked.
    """

    def __init__(self, keyring: Keyring | None = None, *, expect: str | None = None) -> None:
        self._expect = expect
        self._keyring: Keyring | None = None
        if keyring is not None:
            self.unlock(keyring)

    @property
    def keyring(self) -> Keyring:
        """The keyring of the seed.

        Raises:
            Locked: there is none.
        """
        keyring = self._keyring
        if keyring is None or keyring.is_locked:
            raise Locked("the vault is locked: unlock it with the recovery phrase (alknet unlock)")
        return keyring

    @property
    def is_locked(self) -> bool:
        """Whether nothing can be derived now."""
        return self._keyring is None or self._keyring.is_locked

    @property
    def identity(self) -> Ed25519Key | None:
        """The key that this node proves itself with, or None while the vault is locked."""
        return None if self.is_locked else self.keyring.ed25519(IDENTITY_PATH)

    def unlock(self, keyring: Keyring) -> None:
        """Hold *keyring* from now on.

        Raises:
            AlreadyUnlocked: there is one already; it stays, and *keyring* is locked.
            BadMnemonic: it gives another identity than is expected here; it is locked.
        """
        if not self.is_locked:
            keyring.lock()
            raise AlreadyUnlocked("the vault is unlocked already; lock it first to change the seed")
        if self._expect is not None:
            found = ssh_fingerprint(keyring.ed25519(IDENTITY_PATH).public_key)
            if found != self._expect:
                keyring.lock()
                raise BadMnemonic(
                    f"the recovery phrase, or its passphrase, is another node's: it gives the "
                    f"identity {found}, and `identity` under [node] says {self._expect}"
                )
        self._keyring = keyring

    def lock(self) -> None:
        """Wipe the seed and kill every handle derived from it; nothing happens if it is locked."""
        if self._keyring is not None:
            self._keyring.lock()
            self._keyring = None
