"""A service that another node runs: asked, listed and guarded here as one that runs here is."""

from contextlib import asynccontextmanager

import pytest
import trio

from alknet import (
    NodeSettings,
    Request,
    Service,
    Settings,
    connect,
    handler,
    open_node,
    operation,
)
from alknet.call.context import Context
from alknet.elsewhere import Elsewhere
from alknet.errors import Forbidden, InvalidInput, Refused, SettingsError, Unavailable
from alknet.forwarding.tunnel import open_tunnel
from alknet.identity import Identity
from alknet.keys import Keyring, ssh_fingerprint
from alknet.protocol.config import ReloadForwarding, WatchForwarding
from alknet.protocol.directory import ListOperations, Ping
from alknet.protocol.forward import ForwardLimits
from alknet.protocol.forwarding import ForwardingPolicy
from alknet.protocol.secret import DeriveEd25519, DerivePassword
from alknet.protocol.storage.exchange import Export, Import
from alknet.protocol.storage.graphs import CreateGraph
from alknet.protocol.storage.nodes import AddNode
from alknet.protocol.storage.types import DefineType, GraphType, NodeType
from alknet.runtime.linked import LinkedNode
from alknet.runtime.vault import IDENTITY_PATH
from alknet.services import available
from alknet.services.auth.keyset import AuthSettings
from alknet.services.config import ConfigSettings
from alknet.services.storage.base import StorageSettings
from alknet.settings import CertificatePair, RemoteSettings, TlsSettings, load
from alknet.stack import shapes

from .forwarding.targets import echo, everything, target
from .people import ALICE_KEY, PHRASE, STRANGER_KEY, WORKER_KEY, node_key, peer
from .transport.authority import Authority

PATH = "m/74'/0'/0'/7'"
URL = "tls://127.0.0.1:1"
TLS = ("tls://127.0.0.1:0",)
MAY = ("identity:forward", "secrets:*", "config:*", "storage:*")


@operation("desk/key", scopes=("desk:use",))
class DeskKey(Request[bytes], frozen=True):
    """Return a public key, which the desk asks for."""


class Desk(Service, namespace="desk"):
    @handler(concurrent=True, uses=(DeriveEd25519,))
    async def key(self, _: DeskKey, context: Context) -> bytes:
        return (await context.env.call(DeriveEd25519(PATH))).public_key


@pytest.fixture
def own():
    """The keyring of the head: another seed than the far node's."""
    keyring = Keyring.from_mnemonic(PHRASE, "head")
    yield keyring
    keyring.lock()


@pytest.fixture
async def far(own, keyring):
    """The node that answers, and knows the head."""
    async with far_node(own, keyring) as node:
        yield node


@asynccontextmanager
async def far_node(own, keyring, *scopes, alice=False, tls=TlsSettings()):  # noqa: B008
    head = peer("head", own.ed25519(IDENTITY_PATH), *(scopes or MAY))
    settings = Settings(
        node=NodeSettings(name="vault", listen=TLS),
        tls=tls,
        services={
            "auth": AuthSettings(
                peers=(
                    head,
                    peer("spare", STRANGER_KEY, *MAY),
                    *([peer("alice", ALICE_KEY, "*")] if alice else []),
                )
            ),
            "secrets": None,
            "config": ConfigSettings(),
            "storage": StorageSettings(),
            "forward": ForwardLimits(),
        },
    )
    async with open_node(settings, keyring=keyring) as node:
        yield node


def remote(far, **fields):
    pin = ssh_fingerprint(node_key(Keyring.from_mnemonic(PHRASE)))
    return RemoteSettings(far.url, **{"expect": pin, **fields})


@asynccontextmanager
async def head_of(keyring, *others, services=(), **tables):
    auth = AuthSettings(
        peers=(
            peer("alice", ALICE_KEY, "secrets:derive", "desk:*", "config:*"),
            peer("worker-1", WORKER_KEY, "echo:*"),
        )
    )
    settings = Settings(node=NodeSettings(listen=TLS), services={"auth": auth, **tables})
    async with open_node(settings, keyring=keyring, services=services) as node:
        yield node


def asked_of(head, key):
    return connect(head.url, identity=key, expect=node_key(Keyring.from_mnemonic(PHRASE, "head")))


async def test_a_call_is_answered_by_the_other_node_and_by_its_seed(far, own, keyring):
    async with head_of(own, secrets=remote(far)) as head, asked_of(head, ALICE_KEY) as alice:
        expected = keyring.ed25519(PATH).public_key

        assert (await alice.call(DeriveEd25519(PATH))).public_key == expected
        assert (await head.client.call(DeriveEd25519(PATH))).public_key == expected
        assert (await alice.invoke("/head/secrets/derive", {"path": PATH}))["path"] == PATH
        with pytest.raises(InvalidInput, match="path"):
            await alice.call(DeriveEd25519("nonsense"))


async def test_it_is_listed_to_those_who_may_call_it_and_refused_to_others_here(far, own):
    async with head_of(own, secrets=remote(far)) as head:
        async with asked_of(head, ALICE_KEY) as alice:
            names = {each.name for each in (await alice.call(ListOperations())).operations}
            assert "secrets/derive" in names
            assert "secrets/password" not in names
            with pytest.raises(Forbidden, match="'alice' may not call secrets/password"):
                await alice.call(DerivePassword("example.org"))
        async with asked_of(head, WORKER_KEY) as worker:
            with pytest.raises(Forbidden, match="'secrets:derive' is missing"):
                await worker.call(DeriveEd25519(PATH))
        entry = far.dispatcher.registry.find("secrets/password")
        assert entry.measure.remote == 0, "it was refused before it was passed on"


async def test_the_other_node_makes_its_own_check_of_who_asked(own, keyring):
    async with (
        far_node(own, keyring, "identity:forward", "config:*") as far,
        head_of(own, secrets=remote(far)) as head,
        asked_of(head, ALICE_KEY) as alice,
    ):
        with pytest.raises(Forbidden, match="'alice' may not call secrets/derive"):
            await alice.call(DeriveEd25519(PATH))
        with pytest.raises(Forbidden, match="'head' may not call secrets/derive"):
            await head.client.call(DeriveEd25519(PATH))


async def test_a_node_that_may_not_speak_for_others_there_lends_them_nothing(own, keyring):
    async with (
        far_node(own, keyring, "secrets:*") as far,
        head_of(own, secrets=remote(far)) as head,
        asked_of(head, ALICE_KEY) as alice,
    ):
        assert await head.client.call(DeriveEd25519(PATH))
        with pytest.raises(Forbidden, match=r"'vault' at tls://.*'identity:forward'"):
            await alice.call(DeriveEd25519(PATH))


async def test_a_service_that_runs_here_composes_it(far, own, keyring):
    async with (
        head_of(own, secrets=remote(far), services=[Desk()]) as head,
        asked_of(head, ALICE_KEY) as alice,
    ):
        assert await alice.call(DeskKey()) == keyring.ed25519(PATH).public_key


async def test_streams_and_uploads_go_there_too(far, own):
    tables = {"config": remote(far), "storage": remote(far)}
    async with head_of(own, **tables) as head, asked_of(head, ALICE_KEY) as alice:
        async with alice.stream(WatchForwarding()) as policies:
            assert (await anext(policies)).default == "deny"
        await head.client.call(DefineType(GraphType("plain", (NodeType("thing"),))))
        await head.client.call(CreateGraph("first", "plain"))
        await head.client.call(AddNode("first", "thing", key="it"))
        async with head.client.stream(Export("first")) as lines:
            exported = [line async for line in lines]
        counts = await head.client.upload(Import("copy"), exported)
        assert counts.nodes == 1


async def test_a_duplex_goes_there_too_and_each_direction_ends_by_itself(own, keyring):
    async with (
        far_node(own, keyring, "identity:forward", "config:*", "forward:*") as far,
        head_of(own, forward=remote(far)) as head,
        target(echo) as port,
    ):
        with pytest.raises(Forbidden, match="the default is deny"):
            async with open_tunnel(head.client, "127.0.0.1", port):
                pass
        await far.client.call(ReloadForwarding(ForwardingPolicy("allow")))
        async with open_tunnel(head.client, "127.0.0.1", port) as tunnel:
            await tunnel.send(b"there and back")
            await tunnel.send_eof()
            assert await everything(tunnel.receive) == b"there and back"
            await tunnel.finished()


async def test_a_key_file_proves_who_a_node_is_whose_vault_is_locked(far, keyring, tmp_path):
    path = tmp_path / "spare.key"
    path.touch(0o600)
    path.write_text(STRANGER_KEY.to_openssh())
    settings = Settings(services={"secrets": remote(far, key=path)})
    async with open_node(settings) as head:
        found = await head.client.call(DeriveEd25519(PATH))

    assert found.public_key == keyring.ed25519(PATH).public_key


async def test_an_authority_of_our_own_may_vouch_for_the_other_node(own, keyring, tmp_path):
    authority, others = tmp_path / "ours", tmp_path / "others"
    authority.mkdir()
    others.mkdir()
    ours, unknown = Authority(authority), Authority(others)
    pair = CertificatePair(*ours.issue("localhost"))
    async with far_node(own, keyring, tls=TlsSettings(certificates=(pair,))) as far:
        url = far.url.replace("127.0.0.1", "localhost")
        async with head_of(own, secrets=RemoteSettings(url, ca=ours.path)) as head:
            found = await head.client.call(DeriveEd25519(PATH))
            assert found.public_key == keyring.ed25519(PATH).public_key
        for ca in (unknown.path, None):
            # The keyring of a node is wiped when it stops.
            again = Keyring.from_mnemonic(PHRASE, "head")
            async with head_of(again, secrets=RemoteSettings(url, ca=ca)) as head:
                with pytest.raises(Unavailable, match=r"which is away: .*certificate"):
                    await head.client.call(DeriveEd25519(PATH))


async def test_a_file_of_authorities_that_is_no_good_stops_the_start(tmp_path, own):
    (tmp_path / "bad.pem").write_text("no certificate")
    for name, words in (("bad.pem", "bad.pem: .*certificate"), ("none.pem", "none.pem: no such")):
        settings = Settings(services={"secrets": RemoteSettings(URL, ca=tmp_path / name)})
        with pytest.raises(SettingsError, match=words):
            async with open_node(settings, keyring=own):
                pass


@pytest.mark.parametrize(
    ("mode", "text", "words"),
    [
        (0o644, "", "others on this machine can read it"),
        (0o600, "no key", "key"),
        (None, "", "cannot read .*: no such file"),
    ],
)
async def test_a_key_file_that_is_no_good_stops_the_start(tmp_path, mode, text, words):
    path = tmp_path / "bad.key"
    if mode is not None:
        path.write_text(text)
        path.chmod(mode)
    settings = Settings(services={"secrets": RemoteSettings("tls://127.0.0.1:1", key=path)})
    with pytest.raises(SettingsError, match=words):
        async with open_node(settings):
            pass


async def test_while_there_is_no_link_a_call_says_who_is_away_and_why(far, own):
    wrong = "SHA256:" + "A" * 43
    for table, keyring, words in (
        (remote(far), None, "unlock its vault, or name a `key` file"),
        (remote(far, expect=wrong), own, "should hold the key SHA256:AAA"),
        (RemoteSettings("tls://127.0.0.1:1"), own, "tls://127.0.0.1:1"),
    ):
        async with open_node(Settings(services={"secrets": table}), keyring=keyring) as head:
            with pytest.raises(Unavailable, match=words) as caught:
                await head.client.call(DeriveEd25519(PATH))
        assert f"at {table.remote}, which is away" in caught.value.message
        assert caught.value.retryable


async def test_a_link_is_opened_once_the_vault_is_unlocked(far, own):
    async with open_node(Settings(services={"secrets": remote(far)})) as head:
        with pytest.raises(Unavailable):
            await head.client.call(DeriveEd25519(PATH))
        head.vault.unlock(own)
        with trio.fail_after(2):
            while not await answers(head):
                await trio.lowlevel.checkpoint()


async def answers(node):
    try:
        await node.client.call(DeriveEd25519(PATH))
    except Unavailable:
        return False
    return True


async def test_who_is_let_in_can_be_for_another_node_to_say_and_nobody_is_while_it_is_away(own):
    keyring = Keyring.from_mnemonic(PHRASE)
    leave, left = trio.Event(), trio.Event()

    async def far(task_status):
        async with far_node(own, keyring, "identity:forward", "auth:verify", alice=True) as node:
            task_status.started(node)
            await leave.wait()
        left.set()

    async with trio.open_nursery() as nursery:
        node = await nursery.start(far)
        settings = Settings(node=NodeSettings(listen=TLS), services={"auth": remote(node)})
        async with open_node(settings, keyring=own) as head:
            async with asked_of(head, ALICE_KEY) as alice:
                assert await alice.call(Ping())
            with pytest.raises(Refused, match="is not listed here"):
                async with asked_of(head, WORKER_KEY):
                    pass
            leave.set()
            await left.wait()
            with pytest.raises(Refused, match=f"auth/verify is answered by 'vault' at {node.url}"):
                async with asked_of(head, ALICE_KEY):
                    pass


@pytest.mark.parametrize("name", sorted(available()))
def test_every_operation_of_every_service_that_others_may_call_can_be_elsewhere(name):
    node = LinkedNode(name, ["tls://127.0.0.1:1"], None)
    stand_in = Elsewhere(available()[name], node, itself=Identity("head"))

    theirs = [each.request_type for each in available()[name].handlers]
    external = [each for each in theirs if each.__operation__.visibility == "external"]
    assert [each.request_type for each in stand_in.handlers] == external


async def test_what_shares_more_than_calls_with_a_service_runs_beside_it(far, own):
    settings = Settings(services={"storage": remote(far), "task": None})
    with pytest.raises(SettingsError, match="'task' cannot run here while 'storage'"):
        async with open_node(settings, keyring=own):
            pass


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('remote = "ws://a:1"', "secrets.remote: 'ws://a:1' should read tls://host:port"),
        ('remote = "tls://a:1"\nexpect = "x"', "secrets.expect: 'x' should read SHA256:"),
        ('remote = "tls://a:1"\nexpects = "x"', "secrets.expects: .* did you mean `expect`?"),
    ],
)
def test_a_fault_in_the_table_is_told(tmp_path, table, words):
    path = tmp_path / "stack.toml"
    path.write_text(f"[secrets]\n{table}\n")
    with pytest.raises(SettingsError, match=words):
        load(path, shapes(), {})


async def test_a_service_that_runs_goes_elsewhere_with_a_restart_only(tmp_path, own):
    path = tmp_path / "stack.toml"
    path.write_text("[config]\n")
    async with open_node(path, keyring=own) as node:
        path.write_text('[config]\nremote = "tls://127.0.0.1:1"\n')
        with pytest.raises(InvalidInput, match=r"config is `remote` now.*restart the node"):
            await node.reload()
