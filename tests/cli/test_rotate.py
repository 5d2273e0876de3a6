"""A rotation is asked for on the command line, and says how far it has come."""

import pytest

from alknet import connect, open_node
from alknet.identity import Identity
from alknet.protocol.secret import Unlock
from alknet.protocol.storage import (
    AddBatch,
    AddNode,
    CreateGraph,
    DefineType,
    GetNode,
    GraphType,
    NodeLine,
    NodeType,
)
from alknet.services.storage.base import StorageSettings

from ..people import ALICE_KEY, PHRASE, node_settings
from .command import environment
from .typist import typist


@pytest.fixture
async def node(keyring, tmp_path):
    """A node with 250 sealed nodes in the graph `safe`."""
    table = node_settings()
    table.services["storage"] = StorageSettings(path=str(tmp_path / "test.db"))
    async with open_node(table, keyring=keyring) as node:
        await node.client.call(DefineType(GraphType("safe", (NodeType("login", sealed=True),))))
        await node.client.call(CreateGraph("safe", "safe"))
        lines = tuple(NodeLine("login", {"n": n}, f"n{n:03}") for n in range(250))
        await node.client.call(AddBatch("safe", lines))
        yield node


async def test_a_graph_is_rotated_to_the_version_that_was_asked_for(node, ask):
    done = await ask("rotate", "safe", "--to-version", "5", "--json")
    assert (done.code, done.stderr) == (0, "")
    assert (done.json["done"], done.json["total"], done.json["to_version"]) == (250, 250, 5)
    done = await ask("rotate", "safe")
    assert done == (0, "250 of 250 nodes are sealed under key version 6\n", "")
    async with connect(node.url, identity=ALICE_KEY) as client:
        assert (await client.call(GetNode("safe", "n249"))).sealed.key_version == 6


async def test_what_does_not_open_is_named(node, ask):
    await node.client.call(Unlock(PHRASE, "tenant", "guests"))
    guest = node.dispatcher.client(Identity("g", frozenset({"storage:*"}), tenant="guests"))
    await guest.call(AddNode("safe", "login", key="theirs"))
    done = await ask("rotate", "safe")
    assert (done.code, done.stdout) == (1, "250 of 251 nodes are sealed under key version 3\n")
    assert done.stderr.startswith("alknet: 1 nodes do not open and were left as they are: theirs;")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nope"], 1, "there is no graph 'nope'"),
        (["safe", "--to-version", "1"], 2, "invalid value for '--to-version'"),
    ],
    ids=str,
)
async def test_what_cannot_be_rotated_is_said_in_one_sentence(node, ask, arguments, code, sentence):
    done = await ask("rotate", *arguments)
    assert (done.code, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert done.stderr.startswith(f"alknet: {sentence}")


async def test_a_person_is_shown_a_bar(node, alice_key, tmp_path):
    arguments = ("rotate", "safe", "--node", node.url, "--identity", alice_key)
    async with typist(*arguments, cwd=tmp_path, env=environment(TERM="xterm")) as person:
        await person.sees("safe to key version 3")
        await person.sees("250/250")
        assert (await person.leaves()).code == 0
