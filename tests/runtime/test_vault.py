"""Vault: at most one keyring, and Locked while there is none."""

import pytest

from alknet.errors import AlreadyUnlocked, Locked
from alknet.keys import Keyring
from alknet.runtime.vault import IDENTITY_PATH, Vault

from ..people import PHRASE


def test_a_vault_without_a_keyring_is_locked_and_says_what_to_do():
    vault = Vault()

    assert vault.is_locked()
    assert vault.identity() is None
    with pytest.raises(Locked, match="unlock it with the recovery phrase"):
        _ = vault.keyring()


def test_unlocking_gives_the_node_its_identity(keyring):
    vault = Vault()
    vault.unlock(keyring)

    assert not vault.is_locked()
    assert vault.keyring() is keyring
    assert IDENTITY_PATH == "m/74'/0'/0'/0'"
    assert vault.identity().public_key == keyring.ed25519(IDENTITY_PATH).public_key


def test_a_second_seed_is_refused_and_wiped_and_the_first_stays(keyring):
    vault, other = Vault(keyring), Keyring.from_mnemonic(PHRASE, "another")
    with pytest.raises(AlreadyUnlocked, match="lock it first"):
        vault.unlock(other)

    assert other.is_locked
    assert vault.keyring() is keyring
    assert not keyring.is_locked


def test_locking_wipes_the_seed_and_kills_what_came_from_it(keyring):
    vault = Vault(keyring)
    key = vault.identity()
    vault.lock()
    vault.lock()

    assert vault.is_locked()
    assert keyring.is_locked
    with pytest.raises(Locked):
        key.sign(b"message")


def test_a_keyring_locked_behind_the_vaults_back_is_locked_all_the_same(keyring):
    vault = Vault(keyring)
    keyring.lock()

    assert vault.is_locked()
    assert vault.identity() is None
    with pytest.raises(Locked):
        _ = vault.keyring()
    vault.unlock(Keyring.from_mnemonic(PHRASE))
    assert not vault.is_locked()
