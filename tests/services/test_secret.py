"""SecretService: what the vault answers, to whom, and what it says when it cannot."""

import base64

import pytest
import trio

from alknet import Context, Service, connect, handler, open_node
from alknet.errors import (
    AlreadyUnlocked,
    BadMnemonic,
    BadPath,
    CallError,
    DecryptionFailed,
    Forbidden,
    InvalidInput,
    Locked,
)
from alknet.identity import Identity
from alknet.keys import Keyring, site_path, ssh_fingerprint, verify_ed25519
from alknet.protocol.request import Request, operation
from alknet.protocol.secret import (
    Decrypt,
    DeriveEd25519,
    DeriveEncryptionKey,
    DeriveEthereumKey,
    DerivePassword,
    Encrypt,
    Lock,
    Rotate,
    Sealed,
    SignEd25519,
    Status,
    Unlock,
)

from ..people import ALICE_KEY, PHRASE, WORKER_KEY, node_key, node_settings, peer

OTHERS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.fixture
def here(node):
    return node.client


@pytest.fixture(params=["here", "there"])
def client(request, node, alice):
    """The node's own client, and one at the far end of a WebSocket."""
    return node.client if request.param == "here" else alice


async def test_an_ed25519_key_is_derived_and_its_public_half_returned(client, keyring):
    key = await client.call(DeriveEd25519("m/74'/0'/0'/0'"))

    assert key.algorithm == "ed25519"
    assert key.path == "m/74'/0'/0'/0'"
    assert key.public_key == node_key(keyring)
    assert key.fingerprint == ssh_fingerprint(key.public_key)


async def test_an_ethereum_key_is_the_one_that_wallets_know(client):
    key = await client.call(DeriveEthereumKey())

    assert key.algorithm == "secp256k1"
    assert key.address == "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
    assert len(key.public_key) == 33


async def test_an_encryption_key_stays_where_it_is(client):
    for version, path in [(2, "m/74'/2'/0'/0'"), (3, "m/74'/2'/0'/1'"), (77, "m/74'/2'/0'/75'")]:
        key = await client.call(DeriveEncryptionKey(version))
        assert (key.key_version, key.path) == (version, path)


async def test_the_same_site_and_length_give_the_same_password(client, keyring):
    one = await client.call(DerivePassword("example.com"))
    assert await client.call(DerivePassword("example.com")) == one
    assert len(one.password) == 24
    assert one.password == keyring.password_text(site_path("example.com"), 24)
    others = [
        await client.call(DerivePassword("example.org")),
        await client.call(DerivePassword("example.com", 32)),
    ]

    assert one not in others
    assert len(others[1].password) == 32


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff" * 100_000])
@pytest.mark.parametrize("place", [b"", b"record 1"])
async def test_what_is_sealed_opens_again_at_its_place_and_nowhere_else(client, data, place):
    sealed = await client.call(Encrypt(data, associated_data=place))

    assert len(base64.b64decode(sealed.salt)) == 32
    assert len(base64.b64decode(sealed.iv)) == 12
    assert len(base64.b64decode(sealed.data)) == len(data) + 16
    assert (await client.call(Decrypt(sealed, place))).data == data
    with pytest.raises(DecryptionFailed):
        await client.call(Decrypt(sealed, place + b"x"))


async def test_a_value_is_sealed_anew_under_another_version(client):
    sealed = await client.call(Encrypt(b"hello", associated_data=b"place"))
    rotated = await client.call(Rotate(sealed, 5, b"place"))

    assert rotated.key_version == 5
    assert (await client.call(Decrypt(rotated, b"place"))).data == b"hello"


async def test_a_message_is_signed_and_the_key_stays_in_the_vault(client):
    signed = await client.call(SignEd25519("m/74'/0'/0'/7'", b"message"))

    verify_ed25519(signed.public_key, b"message", signed.signature)


# What goes wrong.


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (DeriveEd25519(""), BadPath, "m"),
        (DeriveEd25519("74'/0'"), BadPath, "m"),
        (DeriveEd25519("m/74'//0'"), BadPath, "at character 6: step 2 is empty"),
        (DeriveEd25519("m/74'/0"), BadPath, "not hardened"),
        (DeriveEd25519("m/2147483648'"), BadPath, "step 1 is above 2147483647"),
        (DeriveEthereumKey("m/x"), BadPath, "x"),
        (DerivePassword("example.com", 0), InvalidInput, "`length` is 1 to 255"),
        (DerivePassword("example.com", 256), InvalidInput, "`length` is 1 to 255"),
        (DeriveEncryptionKey(1), InvalidInput, "2 is the first"),
        (Encrypt(b"", 1), InvalidInput, "2 is the first"),
        (Encrypt(b"", -1), InvalidInput, "2 is the first"),
        (Encrypt(b"", 2**31 + 2), InvalidInput, "2147483649 the last"),
        (Encrypt(b"", 2**80), InvalidInput, "2147483649 the last"),
        (DeriveEncryptionKey(2**31 + 2), InvalidInput, "2147483649 the last"),
        (Decrypt(Sealed(-1, "", "", "")), InvalidInput, "2 is the first"),
        (Rotate(Sealed(2, "", "", ""), -1), InvalidInput, "2 is the first"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_says_why(here, request_, error, words):
    with pytest.raises(error) as caught:
        await here.call(request_)
    assert words in str(caught.value)


async def test_a_bad_path_arrives_at_a_remote_caller_with_its_position(alice):
    with pytest.raises(InvalidInput) as caught:
        await alice.call(DeriveEd25519("m/74'//0'"))
    assert caught.value.details["position"] == 6


@pytest.mark.parametrize("field", ["salt", "iv", "data"])
@pytest.mark.parametrize("value", ["", "!!!", "AAAA"])
async def test_a_sealed_value_with_a_fault_is_refused_by_its_field(client, field, value):
    sealed = await client.call(Encrypt(b"hello"))
    fields = {"key_version": 2, "salt": sealed.salt, "iv": sealed.iv, "data": sealed.data}

    with pytest.raises(InvalidInput, match=field):
        await client.invoke("/head/secrets/decrypt", {"sealed": {**fields, field: value}})


async def test_an_altered_value_does_not_open(client):
    sealed = await client.call(Encrypt(b"hello"))
    for field in ("iv", "data"):
        raw = bytearray(base64.b64decode(getattr(sealed, field)))
        raw[0] ^= 1
        fields = {"key_version": 2, "salt": sealed.salt, "iv": sealed.iv, "data": sealed.data}
        altered = {**fields, field: base64.b64encode(raw).decode()}
        with pytest.raises(DecryptionFailed):
            await client.invoke("/head/secrets/decrypt", {"sealed": altered})


# Locked and unlocked.


LOCKABLE = [
    DeriveEd25519("m/0'"),
    DeriveEncryptionKey(),
    DeriveEthereumKey(),
    DerivePassword("example.com"),
    Encrypt(b""),
    SignEd25519("m/0'", b""),
]


async def test_a_locked_vault_answers_nothing_but_says_what_to_do(client):
    sealed = await client.call(Encrypt(b"hello"))
    status = await client.call(Lock())
    assert status.locked
    assert status.identity is None

    for request in [*LOCKABLE, Decrypt(sealed), Rotate(sealed, 3)]:
        with pytest.raises(Locked, match="unlock it with the recovery phrase"):
            await client.call(request)
    assert await client.call(Lock()) == status
    assert await client.call(Status()) == status


async def test_unlocking_brings_the_same_keys_back(client, keyring):
    before = await client.call(DeriveEd25519("m/74'/0'/0'/0'"))
    await client.call(Lock())
    status = await client.call(Unlock(PHRASE))

    assert not status.locked
    assert status.identity == before.fingerprint
    assert await client.call(DeriveEd25519("m/74'/0'/0'/0'")) == before


async def test_the_passphrase_makes_another_seed(client):
    one = await client.call(DeriveEd25519("m/0'"))
    await client.call(Lock())
    await client.call(Unlock(PHRASE, "passphrase"))

    assert await client.call(DeriveEd25519("m/0'")) != one


async def test_a_second_seed_is_refused_while_there_is_one(client):
    before = await client.call(Status())
    with pytest.raises(AlreadyUnlocked, match="lock it first"):
        await client.call(Unlock(OTHERS))

    assert await client.call(Status()) == before


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("", "0"),
        ("abandon " * 11, "11"),
        ("abandon " * 10 + "abandno about", "11"),
        ("abandon " * 12, "checksum"),
    ],
)
async def test_a_bad_phrase_says_which_word_or_the_checksum_and_repeats_nothing(
    here, phrase, words
):
    await here.call(Lock())
    with pytest.raises(BadMnemonic) as caught:
        await here.call(Unlock(phrase))

    assert words in str(caught.value)
    assert "abandno" not in str(caught.value)
    assert (await here.call(Status())).locked


async def test_a_bad_phrase_arrives_at_a_remote_caller_with_the_word(alice):
    await alice.call(Lock())
    with pytest.raises(InvalidInput) as caught:
        await alice.call(Unlock("abandon " * 10 + "abandno about"))

    assert caught.value.details["word"] == 11
    assert "abandno" not in str(caught.value)


async def test_two_who_unlock_at_once_are_not_both_right(client, node):
    await client.call(Lock())
    outcomes = []

    async def unlock(phrase):
        try:
            outcomes.append((phrase, await client.call(Unlock(phrase))))
        except AlreadyUnlocked as error:
            outcomes.append((phrase, error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(unlock, PHRASE)
        nursery.start_soon(unlock, OTHERS)
    (winner,) = [each for each in outcomes if not isinstance(each[1], CallError)]

    assert (await client.call(Status())).identity == winner[1].identity


# Tenants.


@pytest.fixture
async def shared(keyring):
    """A node where alice is of the node's own tenant, and the worker of another."""
    settings = node_settings(
        peer("alice", ALICE_KEY, "*"), peer("worker-1", WORKER_KEY, "*", tenant="acme")
    )
    async with open_node(settings, keyring=keyring) as node:
        yield node


async def test_each_tenant_has_a_seed_of_its_own(shared):
    async with (
        connect(shared.url, identity=ALICE_KEY) as alice,
        connect(shared.url, identity=WORKER_KEY) as worker,
    ):
        own = await alice.call(DeriveEd25519("m/0'"))
        with pytest.raises(Locked, match="for the tenant 'acme'"):
            await worker.call(DeriveEd25519("m/0'"))
        await worker.call(Unlock(OTHERS))
        theirs = await worker.call(DeriveEd25519("m/0'"))
        assert theirs.public_key == Keyring.from_mnemonic(OTHERS).ed25519("m/0'").public_key
        assert theirs != own

        sealed = await worker.call(Encrypt(b"acme's"))
        with pytest.raises(DecryptionFailed):
            await alice.call(Decrypt(sealed))
        await worker.call(Lock())
        assert await alice.call(DeriveEd25519("m/0'")) == own
        with pytest.raises(Locked):
            await worker.call(Decrypt(sealed))


async def test_one_tenant_cannot_unlock_for_another_and_the_nodes_own_can(shared):
    async with (
        connect(shared.url, identity=ALICE_KEY) as alice,
        connect(shared.url, identity=WORKER_KEY) as worker,
    ):
        for tenant in ("", "other"):
            with pytest.raises(Forbidden, match="of the tenant 'acme' may not unlock for"):
                await worker.call(Unlock(OTHERS, tenant=tenant))
        await alice.call(Unlock(OTHERS, tenant="acme"))
        assert not (await worker.call(Status())).locked
        with pytest.raises(AlreadyUnlocked):
            await worker.call(Unlock(PHRASE))


# What leaves.


@operation("proxy/derive")
class Through(Request[bytes], frozen=True):
    """Derive through another service."""


class Proxy(Service, namespace="proxy"):
    @handler(uses=(DeriveEd25519,))
    async def derive(self, _: Through, context: Context) -> bytes:
        return (await context.env.call(DeriveEd25519("m/0'"))).public_key


async def test_another_service_gets_its_keys_through_a_call(keyring):
    async with open_node(node_settings(listen=()), keyring=keyring, services=[Proxy()]) as node:
        client = node.dispatcher.client(Identity("ann"))
        with pytest.raises(Forbidden):
            await client.call(DeriveEd25519("m/0'"))

        assert await client.call(Through()) == keyring.ed25519("m/0'").public_key


async def test_leaving_the_node_wipes_the_seed(keyring):
    async with open_node(node_settings(listen=()), keyring=keyring) as node:
        key = node.vault.identity()
    assert keyring.is_locked
    with pytest.raises(Locked):
        key.sign(b"")
