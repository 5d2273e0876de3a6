"""A node in one line and clients of it: everything real, nothing left behind."""

import pytest
import trio

import alknet.testing
from alknet import NodeSettings, Settings, open_node
from alknet.errors import Forbidden, Locked, NotFound, Refused, Unreachable
from alknet.keys import ssh_fingerprint
from alknet.protocol.directory import Ping
from alknet.protocol.secret import Status
from alknet.runtime.vault import IDENTITY_PATH
from alknet.testing import connected, introduce, key, keyring, no_orphans, road_to

from ..echo import Count, Echo, Say, Shout, WhoAmI


async def test_a_node_answers_within_the_process_and_over_a_link():
    async with alknet.testing.node([Echo()]) as node, connected(node) as client:
        assert await node.client.call(Say("near")) == "near"
        assert await client.call(Say("far")) == "far"


async def test_a_client_has_the_name_and_the_scopes_it_was_given():
    async with (
        alknet.testing.node([Echo()]) as node,
        connected(node, name="alice", scopes=["echo:shout"]) as client,
    ):
        assert await client.call(WhoAmI()) == "alice"
        assert await client.call(Shout("hi")) == "HI"
        with pytest.raises(Forbidden, match="echo:count"):
            async with client.stream(Count(1)) as items:
                await anext(items)


@pytest.mark.parametrize("framed", [False, True], ids=["messages", "frames"])
@pytest.mark.parametrize("format", ["json", "msgpack"])
async def test_a_client_may_come_by_any_kind_of_link(framed, format):
    async with (
        alknet.testing.node([Echo()]) as node,
        connected(node, dial=road_to(node, framed=framed), format=format) as client,
    ):
        assert client.session.format == format
        async with client.stream(Count(200)) as items:
            assert [item async for item in items] == list(range(200))


async def test_the_services_of_a_client_are_called_through_the_node():
    async with (
        alknet.testing.node() as node,
        connected(node, name="worker", services=[Echo()]),
        connected(node, name="alice") as client,
    ):
        assert await client.call(Say("hi"), node="worker") == "hi"
        assert await node.client.call(Say("hi"), node="worker") == "hi"
        with pytest.raises(NotFound):
            await client.call(Say("hi"))


async def test_the_node_is_the_one_that_holds_the_test_phrase():
    shown = keyring().ed25519(IDENTITY_PATH).public_key
    async with alknet.testing.node() as node:
        async with connected(node, expect=shown) as client:
            assert (await client.call(Ping())).node == "head"
        with pytest.raises(Refused, match="should hold the key"):
            async with connected(node, expect=ssh_fingerprint(key("other").public_key)):
                pass


async def test_a_locked_node_has_no_key_to_show():
    async with alknet.testing.node(is_locked=True) as node:
        assert node.vault.is_locked
        with pytest.raises(Locked):
            async with connected(node, expect=key("head").public_key):
                pass


async def test_settings_of_ones_own_are_kept():
    settings = Settings(node=NodeSettings(name="kitchen"), services={"secrets": None})
    async with alknet.testing.node(settings=settings) as node, connected(node) as client:
        assert (await client.call(Ping())).node == "kitchen"
        assert not (await client.call(Status())).locked
    assert "auth" not in settings.services


async def test_somebody_introduced_again_has_the_new_scopes():
    async with alknet.testing.node([Echo()]) as node:
        await introduce(node, "alice", ["echo:shout"])
        async with connected(node, name="bob"):
            alice = await introduce(node, "alice", [])
            async with connected(node, identity=alice) as client:
                assert await client.call(WhoAmI()) == "alice"
                with pytest.raises(Forbidden):
                    await client.call(Shout("hi"))


async def test_a_node_that_was_opened_otherwise_says_why_it_knows_nobody():
    async with open_node(Settings(), services=[Echo()]) as node:
        with pytest.raises(TypeError, match=r"testing\.node"):
            async with connected(node):
                pass


async def test_a_stranger_is_refused():
    async with alknet.testing.node() as node:
        with pytest.raises(Refused, match="not listed here"):
            async with connected(node, identity=key("stranger")):
                pass


async def test_a_node_that_has_stopped_takes_no_links():
    async with alknet.testing.node() as node:
        alice = await introduce(node, "alice")
    with pytest.raises(Unreachable, match="is stopping"):
        async with connected(node, identity=alice):
            pass


async def test_clients_that_leave_take_their_tasks_with_them():
    async with alknet.testing.node([Echo()]) as node, no_orphans() as tasks:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(_visit, node, f"visitor-{number}")
    assert tasks.begun > 20


async def _visit(node, name):
    async with connected(node, name=name) as client, client.stream(Count(1000)) as items:
        assert await anext(items) == 0
        assert await client.call(WhoAmI()) == name


def test_every_name_has_a_key_of_its_own_and_keeps_it():
    names = [f"peer-{number}" for number in range(50)]
    keys = {key(name).public_key for name in names}
    assert len(keys) == 50
    assert key("alice").public_key.hex().startswith("8287bebceada7fbf")
    assert key("alice").public_key != keyring().ed25519(IDENTITY_PATH).public_key
