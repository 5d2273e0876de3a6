"""Heads that a node joins, as its settings say: what it answers can be called through them."""

from contextlib import asynccontextmanager

import pytest
import trio

from alknet import JoinSettings, NodeSettings, Settings, connect, open_node
from alknet.errors import Forbidden, SettingsError
from alknet.identity import Identity
from alknet.keys import Keyring, ssh_fingerprint
from alknet.protocol.directory import HeadSummary, ListPeers
from alknet.protocol.secret import DeriveEd25519
from alknet.protocol.worker import Heartbeats
from alknet.services.worker import WorkerSettings
from alknet.settings import load
from alknet.stack import shapes

from .echo import Echo, Hold, Say, Shout, WhoAmI
from .people import ALICE_KEY, PHRASE, node_key, node_settings, peer

PATH = "m/74'/0'/0'/7'"
REGISTER = "services:register"


def keyring(name):
    return Keyring.from_mnemonic(PHRASE, name)


def key_of(name):
    return keyring(name).ed25519("m/74'/0'/0'/0'")


def joining(head, **fields):
    """Return the entry that leads to *head*."""
    pin = ssh_fingerprint(node_key(keyring(head.name)))
    return JoinSettings((head.url,), **{"expect": pin, **fields})


@asynccontextmanager
async def node_called(name, *workers, joins=(), services=(), **tables):
    """Run a node that lets alice and *workers*, nodes by their names, in."""
    made = node_settings(
        peer("alice", ALICE_KEY, "*"), *(peer(each, key_of(each), REGISTER) for each in workers)
    )
    node = NodeSettings(name=name, listen=made.node.listen, joins=joins)
    settings = Settings(node=node, services={**made.services, **tables})
    async with open_node(settings, keyring=keyring(name), services=services) as running:
        yield running


async def there(head, name):
    """Return when *name* has registered with *head*."""
    with trio.fail_after(5):
        while not head.dispatcher.peers.is_connected(name):
            await trio.lowlevel.checkpoint()
        while not dict(head.dispatcher.peers.names())[name]:
            await head.dispatcher.peers.changed.wait()


async def test_what_a_node_answers_can_be_called_through_the_head_that_it_joins():
    async with (
        node_called("head", "worker-1") as head,
        node_called("worker-1", joins=(joining(head),), services=[Echo()]),
        connect(head.url, identity=ALICE_KEY) as alice,
    ):
        await there(head, "worker-1")
        assert await alice.call(Say("hello"), node="worker-1") == "hello"
        assert await alice.call(WhoAmI(), node="worker-1") == "alice"
        found = await alice.call(DeriveEd25519(PATH), node="worker-1")
        assert found.public_key == keyring("worker-1").ed25519(PATH).public_key


async def test_the_callers_of_a_head_may_do_what_it_is_granted_and_no_more():
    async with (
        node_called("head", "worker-1") as head,
        node_called(
            "worker-1", joins=(joining(head, grant=frozenset({"echo:*"})),), services=[Echo()]
        ),
        connect(head.url, identity=ALICE_KEY) as alice,
    ):
        await there(head, "worker-1")
        assert await alice.call(Shout("hello"), node="worker-1") == "HELLO"
        with pytest.raises(Forbidden, match="secrets/derive"):
            await alice.call(DeriveEd25519(PATH), node="worker-1")


async def test_a_node_that_has_joined_passes_on_what_those_answer_who_have_joined_it():
    async with (
        node_called("head", "middle") as head,
        node_called("middle", "worker-1", joins=(joining(head),)) as middle,
        node_called("worker-1", joins=(joining(middle),), services=[Echo()]),
        connect(head.url, identity=ALICE_KEY) as alice,
    ):
        await there(middle, "worker-1")
        with trio.fail_after(5):
            while "worker-1/echo/say" not in dict(head.dispatcher.peers.names()).get("middle", ()):
                await head.dispatcher.peers.changed.wait()
        assert await alice.invoke("/middle/worker-1/echo/say", {"text": "far"}) == "far"


async def test_a_node_may_work_for_several_heads():
    async with (
        node_called("head", "worker-1") as head,
        node_called("other", "worker-1") as other,
        node_called("worker-1", joins=(joining(head), joining(other)), services=[Echo()]),
    ):
        for each in (head, other):
            await there(each, "worker-1")
            client = each.dispatcher.client(Identity("bob", frozenset({"*"})))
            assert await client.call(WhoAmI(), node="worker-1") == "bob"


@pytest.mark.parametrize("has_workers", [False, True])
async def test_a_head_hears_how_a_node_that_has_joined_it_fares(has_workers):
    tables = {"worker": WorkerSettings(0.05)}
    async with (
        node_called("head", "middle", **tables) as head,
        node_called(
            "middle", "worker-1", joins=(joining(head),), **(tables if has_workers else {})
        ) as middle,
        node_called("worker-1", joins=(joining(middle),)),
    ):
        await there(middle, "worker-1")
        async with head.client.stream(Heartbeats()) as beats:
            heard = {(await anext(beats)).node for _ in range(4)}
        assert heard == {"middle"}


async def test_a_node_says_how_it_gets_to_its_heads_and_why_not():
    wrong = "SHA256:" + "A" * 43
    async with node_called("head", "worker-1") as head:
        joins = (
            joining(head),
            joining(head, expect=wrong),
            JoinSettings(("tls://127.0.0.1:1", "wss://127.0.0.1:1")),
        )
        async with node_called("worker-1", joins=joins) as worker:
            with trio.fail_after(5):
                while "not been dialled" in str(found := await worker.client.call(ListPeers())):
                    await trio.lowlevel.checkpoint()
    linked, other, nowhere = found.heads
    assert linked == HeadSummary((head.url,), "head", None)
    assert f"should hold the key {wrong}" in other.why_away
    assert nowhere.urls == ("tls://127.0.0.1:1", "wss://127.0.0.1:1")
    assert nowhere.why_away.startswith("none of these leads to the node")


async def test_a_head_where_it_may_not_register_is_named():
    async with (
        node_called("head") as head,
        node_called("worker-1", joins=(joining(head),)) as worker,
    ):
        with trio.fail_after(5):
            while "not been dialled" in str(found := await worker.client.call(ListPeers())):
                await trio.lowlevel.checkpoint()
    assert "is not listed here" in found.heads[0].why_away


async def test_a_locked_node_joins_when_it_is_unlocked():
    async with node_called("head", "worker-1") as head:
        made = Settings(node=NodeSettings(name="worker-1", joins=(joining(head),)))
        async with open_node(made, services=[Echo()]) as worker:
            with trio.fail_after(5):
                while "unlock its vault" not in str(await worker.client.call(ListPeers())):
                    await trio.lowlevel.checkpoint()
            worker.vault.unlock(keyring("worker-1"))
            await there(head, "worker-1")


async def test_a_node_that_stops_finishes_what_a_head_has_asked_and_does_not_come_back():
    echo, said = Echo(), []
    async with (
        node_called("head", "worker-1") as head,
        trio.open_nursery() as nursery,
    ):

        async def ask():
            said.append(await head.client.call(Hold(), node="worker-1"))

        async with node_called("worker-1", joins=(joining(head),), services=[echo]) as worker:
            await there(head, "worker-1")
            nursery.start_soon(ask)
            await echo.has_begun()
            nursery.start_soon(let_go, worker, echo)
        assert said == ["held"]
        with trio.fail_after(5):
            while head.dispatcher.peers.is_connected("worker-1"):
                await trio.lowlevel.checkpoint()


async def let_go(worker, echo):
    """Let a call that a node waits for come to its end once the node is stopping."""
    while not worker.dispatcher.is_stopping:
        await trio.lowlevel.checkpoint()
    echo.let_go.set()


def test_faults_are_told(tmp_path):
    for table, words in FAULTS.items():
        path = tmp_path / "stack.toml"
        path.write_text(f"[[node.joins]]\n{table}\n")
        with pytest.raises(SettingsError, match=words):
            load(path, shapes(), {})


FAULTS = {
    "urls = []": "node.joins",
    'urls = ["ws://a:1"]': "whoever answers at ws://a:1 would be our head",
    'urls = ["http://a:1"]': "'http://a:1' should read",
    'urls = ["tls://a:1"]\nexpected = "x"': "did you mean `expect`",
}
