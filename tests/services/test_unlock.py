"""Unlocking by shares and from afar: who may, what becomes of shares, and what is noted of it."""

from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest
import structlog.testing
import trio
import trio.testing

from alknet import NodeSettings, Settings, connect, open_node, testing
from alknet.errors import (
    AlreadyUnlocked,
    BadMnemonic,
    CallError,
    Forbidden,
    InvalidInput,
    RateLimited,
)
from alknet.identity import Identity
from alknet.keys import Keyring, split_mnemonic, ssh_fingerprint
from alknet.protocol.secret import (
    DeriveEd25519,
    GiveShare,
    Lock,
    Status,
    Unlock,
    WatchVault,
)
from alknet.protocol.storage import ListAudit
from alknet.runtime.vault import IDENTITY_PATH
from alknet.services.auth.keyset import AuthSettings
from alknet.services.secret.service import SecretSettings
from alknet.services.storage.base import StorageSettings
from alknet.settings import RemoteSecretsSettings, load
from alknet.stack import shapes
from alknet.transport.memory import memory_pair

from ..people import ALICE_KEY, PHRASE, node_key, peer

PATH = "m/74'/0'/0'/1'"
OTHERS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
IDENTITY = ssh_fingerprint(node_key(Keyring.from_mnemonic(PHRASE)))
OPEN = SecretSettings(remote_unlock=True)
NAMED = ("*", "secrets:unlock")


@pytest.fixture(scope="module")
def shares():
    """Five shares of PHRASE, three of which are enough."""
    return split_mnemonic(PHRASE, 3, 5, iteration_exponent=0)


@asynccontextmanager
async def locked_node(secrets=OPEN, **tables):
    settings = Settings(
        node=NodeSettings(identity=IDENTITY), services={"secrets": secrets, **tables}
    )
    async with testing.node(settings=settings, is_locked=True) as node:
        yield node


async def _dial(node, address, nursery, url, *, limits, format="json"):
    await trio.lowlevel.checkpoint()
    near, far = memory_pair(format=format)
    far.peer_address = address
    node.accept(far)
    return near


def from_afar(node, name="bob", scopes=NAMED, *, address="203.0.113.9:4711", **options):
    """A client of *node* on another machine, over a link that nobody can listen to."""
    return testing.connected(
        node, name=name, scopes=scopes, dial=partial(_dial, node, address), **options
    )


async def test_shares_of_several_peers_unlock_together(shares):
    async with locked_node() as node:
        async with from_afar(node, "bob") as bob, from_afar(node, "carol") as carol:
            first = await bob.call(GiveShare(shares[4]))
            second = await carol.call(GiveShare(shares[0].upper()))
            assert (first.given, first.missing, first.status.locked) == (1, 2, True)
            assert (second.given, second.missing, second.status.locked) == (2, 1, True)
            status = await node.client.call(Status())
            assert (status.shares_given, status.shares_missing) == (2, 1)
            done = await node.client.call(GiveShare(shares[2]))
            assert (done.given, done.missing) == (3, 0)
            assert (done.status.locked, done.status.identity) == (False, IDENTITY)
            assert (done.status.shares_given, done.status.shares_missing) == (0, 0)
            with pytest.raises(AlreadyUnlocked):
                await bob.call(GiveShare(shares[1]))
        assert node.vault.keyring().ed25519(PATH)


async def test_a_share_that_is_refused_costs_none_of_those_given(shares):
    async with locked_node() as node:
        await node.client.call(GiveShare(shares[0]))
        words = shares[1].split()
        for text, sentence in [
            (shares[0], "given already"),
            (" ".join(words[:-1]), "this one has 19"),
            (" ".join(["zzzz", *words[1:]]), "word 1 of the share"),
            (
                split_mnemonic(PHRASE, 3, 5)[0],
                r"another set .*\(1 given before; `alknet lock` drops",
            ),
        ]:
            with pytest.raises(InvalidInput, match=sentence) as caught:
                await node.client.call(GiveShare(text))
            assert not any(word in caught.value.message.split() for word in words[4:])
        assert (await node.client.call(GiveShare(shares[1]))).missing == 1
        assert (await node.client.call(GiveShare(shares[2]))).missing == 0


async def test_shares_are_wiped_when_their_time_is_over(shares, mock_clock):
    async with locked_node(SecretSettings(share_seconds=60)) as node:
        await node.client.call(GiveShare(shares[0]))
        mock_clock.jump(59)
        assert (await node.client.call(GiveShare(shares[1]))).given == 2
        with structlog.testing.capture_logs() as logs:
            mock_clock.jump(2)
            await trio.testing.wait_all_tasks_blocked()
        assert [each["event"] for each in logs] == ["shares dropped: their time is over"]
        assert (await node.client.call(GiveShare(shares[2]))).given == 1


async def test_a_lock_drops_the_shares_that_were_given(shares):
    async with locked_node() as node:
        await node.client.call(GiveShare(shares[0]))
        await node.client.call(Lock())
        assert (await node.client.call(GiveShare(shares[1]))).given == 1


async def test_shares_of_another_node_unlock_nothing_and_are_dropped():
    one, two = split_mnemonic(OTHERS, 2, 2, iteration_exponent=0)
    async with locked_node() as node:
        await node.client.call(GiveShare(one))
        with pytest.raises(BadMnemonic, match=r"another node's.*the 2 shares were dropped"):
            await node.client.call(GiveShare(two))
        assert node.vault.is_locked()
        assert (await node.client.call(GiveShare(one))).given == 1


async def test_the_passphrase_counts_that_comes_with_the_last_share(shares):
    keyring = Keyring.from_mnemonic(PHRASE, "of BIP-39")
    settings = Settings(services={"secrets": None})
    async with testing.node(settings=settings, is_locked=True) as node:
        for share in shares[:2]:
            await node.client.call(GiveShare(share, "another"))
        await node.client.call(GiveShare(shares[2], "of BIP-39"))
        assert node.vault.identity().public_key == node_key(keyring)


async def test_shares_that_would_keep_the_node_busy_for_minutes_are_refused():
    [slow] = split_mnemonic(PHRASE, 1, 1, iteration_exponent=0)
    shares = split_mnemonic(PHRASE, 2, 2, iteration_exponent=8)
    async with locked_node() as node:
        with pytest.raises(InvalidInput, match=r"2\*\*7 is the most here"):
            await node.client.call(GiveShare(shares[0]))
        assert (await node.client.call(GiveShare(slow))).missing == 0


@pytest.mark.parametrize("request_of", [lambda share: Unlock(PHRASE), GiveShare])
@pytest.mark.parametrize(
    ("secrets", "scopes", "words"),
    [
        (None, NAMED, "not answered from other machines here: .*remote_unlock = true"),
        (SecretSettings(), NAMED, "not answered from other machines here"),
        (OPEN, ("*",), "the scope 'secrets:unlock' must be granted by its name"),
        (OPEN, ("secrets:*",), "the scope 'secrets:unlock' must be granted by its name"),
        (OPEN, ("secrets:derive",), "the scope 'secrets:unlock' is missing"),
    ],
)
async def test_from_afar_nobody_unlocks_who_was_not_named(
    shares, secrets, scopes, words, request_of
):
    async with locked_node(secrets) as node:
        async with from_afar(node, scopes=scopes) as bob:
            with pytest.raises(Forbidden, match=words):
                await bob.call(request_of(shares[0]))
        assert node.vault.is_locked()


async def test_from_afar_who_was_named_unlocks_where_that_is_allowed():
    async with locked_node() as node, from_afar(node) as bob:
        assert (await bob.call(Unlock(PHRASE))).identity == IDENTITY


async def test_on_the_machine_itself_a_star_does():
    async with locked_node(None) as node, testing.connected(node) as client:
        assert (await client.call(Unlock(PHRASE))).identity == IDENTITY


@pytest.mark.parametrize(
    ("address", "is_near"),
    [
        ("127.0.0.1:4711", True),
        ("[::1]:4711", True),
        ("[::ffff:127.0.0.1]:4711", True),
        ("memory:a", True),
        ("[::ffff:203.0.113.9]:4711", False),
        ("[2001:db8::1]:4711", False),
        ("10.0.0.1:4711", False),
        ("memory.example.org:4711", False),
        ("localhost.example.org:4711", False),
        ("dns", False),
    ],
)
async def test_which_addresses_are_of_the_machine_itself(address, is_near):
    async with locked_node(None) as node, from_afar(node, address=address) as bob:
        if is_near:
            assert (await bob.call(Unlock(PHRASE))).identity == IDENTITY
        else:
            with pytest.raises(Forbidden, match="not answered from other machines"):
                await bob.call(Unlock(PHRASE))


async def test_nobody_unlocks_in_the_name_of_another():
    """A head may not be talked into it, even on the machine itself."""
    async with locked_node() as node:
        for address in ("203.0.113.9:4711", "127.0.0.1:4711"):
            scopes = (*NAMED, "identity:forward")
            async with from_afar(node, "head", scopes, address=address) as head:
                head._fields["forwarded_for"] = msgspec.json.encode(
                    Identity("eve", frozenset(NAMED))
                )
                with pytest.raises(Forbidden, match="over its own link"):
                    await head.call(Unlock(PHRASE))
        assert node.vault.is_locked()


async def test_a_token_is_no_proof_from_afar():
    digest = "sha256:" + "0" * 64
    settings = Settings(
        node=NodeSettings(identity=IDENTITY), services={"secrets": OPEN, "auth": AuthSettings()}
    )
    async with testing.node(settings=settings, is_locked=True) as node:
        async with from_afar(node) as bob:
            [session] = node.sessions
            granted = node._host.granted[session]
            credential = msgspec.structs.replace(granted.credential, kind="token", id=digest)
            node._host.granted[session] = msgspec.structs.replace(granted, credential=credential)
            with pytest.raises(Forbidden, match="who has proven a key"):
                await bob.call(Unlock(PHRASE))


async def test_over_a_link_that_others_could_hear_nothing_is_taken():
    async with locked_node() as node, from_afar(node) as bob:
        [session] = node.sessions
        session.link.is_confidential = False
        with pytest.raises(Forbidden, match="carries secrets"):
            await bob.call(Unlock(PHRASE))
        assert node.vault.is_locked()


async def test_from_afar_attempts_are_few():
    async with locked_node() as node, from_afar(node) as bob:
        with pytest.raises(RateLimited, match="too often") as caught:
            for _ in range(20):
                with pytest.raises(InvalidInput):
                    await bob.call(Unlock(OTHERS))
        assert caught.value.details["retry_after"] > 1
        async with from_afar(node, "carol") as carol:
            assert await carol.call(Unlock(PHRASE))


async def test_every_attempt_is_in_the_audit_log_and_no_word_of_the_phrase_anywhere(shares):
    with structlog.testing.capture_logs() as logs:
        async with locked_node(storage=StorageSettings()) as node, from_afar(node) as bob:
            await bob.call(GiveShare(shares[0]))
            with pytest.raises(CallError):
                await bob.call(Unlock(OTHERS, "a passphrase"))
            async with from_afar(node, "eve", ("*",)) as eve:
                with pytest.raises(Forbidden):
                    await eve.call(Unlock(PHRASE))
            await bob.call(Unlock(PHRASE))
            audit = (await node.client.call(ListAudit())).entries
    noted = [
        (each.action, each.subject, each.details.get("remote"), each.details.get("why"))
        for each in audit
        if each.action.startswith("secrets.")
    ]
    afar = "203.0.113.9:4711"
    assert noted == [
        ("secrets.share-given", "bob", afar, None),
        ("secrets.unlock-refused", "bob", afar, "INVALID_INPUT"),
        ("secrets.unlock-refused", "eve", afar, "FORBIDDEN"),
        ("secrets.unlocked", "bob", afar, None),
    ]
    told = repr(logs) + repr(audit)
    assert "secrets.unlocked" in told
    for secret in (shares[0], PHRASE, OTHERS, "a passphrase"):
        assert secret not in told
    assert shares[0].split()[5] not in told


async def test_the_vault_tells_of_every_lock():
    settings = Settings(services={"secrets": None})
    async with testing.node(settings=settings) as node, node.client.stream(WatchVault()) as epochs:
        first = await anext(epochs)
        node.vault.lock()
        locked = await anext(epochs)
        node.vault.unlock(Keyring.from_mnemonic(PHRASE))
        unlocked = await anext(epochs)

    assert (first.locked, locked.locked, unlocked.locked) == (False, True, False)
    assert first.epoch != locked.epoch == unlocked.epoch


async def test_a_head_whose_secrets_are_elsewhere_is_unlocked_itself():
    """Its own vault holds who it is; without that it cannot even ask the other node."""
    own = Keyring.from_mnemonic(PHRASE, "head")
    far_settings = Settings(
        node=NodeSettings(name="vault", listen=("tls://127.0.0.1:0",)),
        services={
            "secrets": None,
            "auth": AuthSettings(
                peers=(peer("head", own.ed25519(IDENTITY_PATH), "identity:forward", "secrets:*"),)
            ),
        },
    )
    keyring = Keyring.from_mnemonic(PHRASE)
    async with open_node(far_settings, keyring=keyring) as far:
        table = RemoteSecretsSettings(far.url, expect=IDENTITY)
        settings = Settings(
            node=NodeSettings(listen=("ws://127.0.0.1:0",)),
            services={
                "secrets": table,
                "auth": AuthSettings(peers=(peer("alice", ALICE_KEY, "*"),)),
            },
        )
        async with open_node(settings) as head:
            async with connect(head.url, identity=ALICE_KEY) as alice:
                assert (await alice.call(Status())).locked
                with pytest.raises(Forbidden, match="belongs into the node that answers"):
                    await alice.call(Unlock(PHRASE, tenant="acme"))
                status = await alice.call(Unlock(PHRASE, "head"))
                assert status.identity == ssh_fingerprint(node_key(own))
                with trio.fail_after(5):
                    while True:
                        try:
                            found = await alice.call(DeriveEd25519(PATH))
                            break
                        except CallError:
                            await trio.lowlevel.checkpoint()
                assert found.public_key == keyring.ed25519(PATH).public_key
                assert (await alice.call(Lock())).locked
        assert not far.vault.is_locked()


def test_the_table_is_read_here_and_elsewhere(tmp_path):
    path = tmp_path / "stack.toml"
    path.write_text("[secrets]\nremote_unlock = true\nshare_seconds = 30\n")
    assert load(path, shapes(), {}).services["secrets"] == SecretSettings(True, 30.0)
    path.write_text('[secrets]\nremote = "tls://a:1"\nremote_unlock = true\n')
    table = load(path, shapes(), {}).services["secrets"]
    assert (table.remote, table.remote_unlock, table.share_seconds) == ("tls://a:1", True, 600.0)
