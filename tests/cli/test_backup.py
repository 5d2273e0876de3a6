"""A running node's database is copied, and put back when the node has stopped."""

import msgspec
import pytest

from alknet import open_node
from alknet.protocol.storage import CreateGraph, DefineType, GraphType, ListGraphs, NodeType
from alknet.stack import load

from .command import alknet


async def make(client, graph):
    await client.call(DefineType(GraphType("t", (NodeType("n"),))))
    await client.call(CreateGraph(graph, "t"))


async def graphs(client):
    return [graph.name for graph in (await client.call(ListGraphs())).graphs]


async def test_a_backup_of_a_running_node_is_restored_beside_what_it_replaces(stack):
    settings = load(stack / "stack.toml")
    async with open_node(settings) as node:
        await make(node.client, "old")
        made = await alknet("backup", "copy.db", "--json", cwd=stack)
        await make(node.client, "new")
        busy = await alknet("restore", "copy.db", cwd=stack)
    assert msgspec.json.decode(made.stdout)["bytes"] == (stack / "copy.db").stat().st_size
    assert (busy.code, "in use by process" in busy.stderr) == (1, True)

    restored = await alknet("restore", stack / "copy.db", "--config", stack / "stack.toml")

    assert restored.code == 0, restored.stderr
    assert "what was there is kept as" in restored.stdout
    assert (stack / "alknet.db.replaced-1").exists()
    async with open_node(settings) as node:
        assert await graphs(node.client) == ["old"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("backup", "copy.db"), "there is no database at"),
        (("restore", "copy.db"), "there is no database at copy.db"),
        (("backup", "copy.db", "--config", "none.toml"), "cannot read none.toml"),
    ],
)
async def test_what_cannot_be_copied_is_said_in_one_sentence(stack, command, message):
    done = await alknet(*command, cwd=stack)
    assert done.code == 1
    assert done.stderr.startswith("alknet: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_node_without_a_lasting_database_has_none_to_copy(stack):
    text = (stack / "stack.toml").read_text().replace('path = "alknet.db"', "#")
    (stack / "stack.toml").write_text(text)
    done = await alknet("backup", "copy.db", cwd=stack)
    assert (done.code, "the node keeps nothing" in done.stderr) == (1, True)
