"""A node with storage, and a graph of people to work on."""

import pytest

from alknet import Settings, open_node
from alknet.protocol.storage import (
    AddEdge,
    AddNode,
    CreateGraph,
    DefineType,
    EdgeType,
    GraphType,
    NodeType,
)
from alknet.services.storage.base import StorageSettings

AGE = {
    "type": "object",
    "properties": {"age": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
SOCIAL = GraphType(
    name="social",
    node_types=(NodeType("person", AGE), NodeType("place")),
    edge_types=(
        EdgeType("knows", ("person",), ("person",)),
        EdgeType("lives-in", ("person",), ("place",)),
        EdgeType("anything"),
    ),
)


def settings(path, **fields):
    return Settings(services={"storage": StorageSettings(path=str(path), **fields)})


@pytest.fixture
async def client(tmp_path):
    async with open_node(settings(tmp_path / "test.db")) as node:
        yield node.client


@pytest.fixture
async def friends(client):
    """The client, with an empty graph `friends` of the type above."""
    await client.call(DefineType(SOCIAL))
    await client.call(CreateGraph("friends", "social"))
    return client


async def add_people(client, *keys, graph="friends"):
    for key in keys:
        await client.call(AddNode(graph, "person", key=key))


async def join(client, source, target, key, *, type="knows", graph="friends", **fields):
    return await client.call(AddEdge(graph, type, source, target, key=key, **fields))
