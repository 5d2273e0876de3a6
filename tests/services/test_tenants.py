"""A seed for each tenant: what is done for one never touches another."""

import pytest

from alknet import Identity, Settings, open_node
from alknet.errors import AlreadyUnlocked, DecryptionFailed, Forbidden, Locked
from alknet.keys import Keyring, verify_ed25519
from alknet.protocol.secret import (
    Decrypt,
    DeriveEd25519,
    Encrypt,
    Lock,
    Rotate,
    SignEd25519,
    Status,
    Unlock,
)

PATH = "m/74'/0'/0'/1'"
PHRASES = {
    "": "abandon " * 11 + "about",
    "acme": "legal winner thank year wave sausage worth useful legal winner thank yellow",
    "bell": "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
}


@pytest.fixture
async def of():
    """Return a client for a caller of the tenant asked for."""
    async with open_node(Settings(services={"secrets": None})) as node:
        yield lambda tenant: node.dispatcher.client(
            Identity(f"caller of {tenant or 'the node'}", frozenset({"*"}), tenant=tenant)
        )


async def unlock(of, *tenants):
    for tenant in tenants:
        assert not (await of(tenant).call(Unlock(PHRASES[tenant]))).locked


async def test_each_tenant_is_answered_from_its_own_seed(of):
    await unlock(of, *PHRASES)
    for tenant, phrase in PHRASES.items():
        expected = Keyring.from_mnemonic(phrase).ed25519(PATH).public_key
        assert (await of(tenant).call(DeriveEd25519(PATH))).public_key == expected


@pytest.mark.parametrize("locked", PHRASES)
async def test_a_lock_of_one_tenant_leaves_the_others_open(of, locked):
    await unlock(of, *PHRASES)
    assert (await of(locked).call(Lock())).locked
    with pytest.raises(Locked, match=repr(locked) if locked else "the vault is locked:"):
        await of(locked).call(DeriveEd25519(PATH))
    for other in PHRASES.keys() - {locked}:
        assert not (await of(other).call(Status())).locked
        await of(other).call(DeriveEd25519(PATH))


async def test_what_one_tenant_sealed_opens_for_no_other(of):
    await unlock(of, "acme", "bell")
    sealed = await of("acme").call(Encrypt(b"for acme"))
    with pytest.raises(DecryptionFailed):
        await of("bell").call(Decrypt(sealed))
    assert (await of("acme").call(Decrypt(sealed))).data == b"for acme"


async def test_a_tenant_cannot_unlock_for_another_but_the_node_can(of):
    with pytest.raises(Forbidden, match="'acme' may not unlock for 'bell'"):
        await of("acme").call(Unlock(PHRASES["bell"], tenant="bell"))
    await of("").call(Unlock(PHRASES["bell"], tenant="bell"))
    assert not (await of("bell").call(Status())).locked
    assert (await of("").call(Status())).locked


async def test_a_second_seed_for_the_same_tenant_is_refused_and_the_first_stays(of):
    await unlock(of, "acme")
    with pytest.raises(AlreadyUnlocked):
        await of("acme").call(Unlock(PHRASES["bell"]))
    expected = Keyring.from_mnemonic(PHRASES["acme"]).ed25519(PATH).public_key
    assert (await of("acme").call(DeriveEd25519(PATH))).public_key == expected


async def test_a_signature_is_by_the_derived_key_and_a_rotated_value_still_opens(of):
    await unlock(of, "acme")
    signed = await of("acme").call(SignEd25519(PATH, b"message"))
    verify_ed25519(signed.public_key, b"message", signed.signature)

    old = await of("acme").call(Encrypt(b"secret", associated_data=b"place"))
    new = await of("acme").call(Rotate(old, 3, b"place"))
    assert new.key_version == 3
    assert (await of("acme").call(Decrypt(new, b"place"))).data == b"secret"


def test_a_caller_of_one_tenant_lends_itself_to_no_other():
    caller = Identity("head", frozenset({"*"}), tenant="acme")
    other = Identity("user", frozenset({"*"}), tenant="bell")
    assert caller.narrowed_to(other) == Identity("user", tenant="bell")
