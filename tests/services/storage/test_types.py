"""What a graph may hold is said once, and holds for what is there already."""

import re

import pytest

from alknet.errors import Conflict, InvalidInput, NotFound
from alknet.protocol.storage import (
    AddNode,
    CreateGraph,
    DefineType,
    DeleteGraph,
    DeleteType,
    EdgeType,
    GetType,
    GraphType,
    ListTypes,
    NodeType,
)

from .conftest import SOCIAL, add_people, join


async def test_a_type_is_kept_as_defined_and_listed_by_name(client):
    made = await client.call(DefineType(SOCIAL))
    await client.call(DefineType(GraphType("a", (NodeType("x"),))))

    assert (await client.call(GetType("social"))) == made
    assert (made.definition, made.version) == (SOCIAL, 1)
    page = await client.call(ListTypes(limit=1))
    assert [each.definition.name for each in page.types] == ["a"]
    page = await client.call(ListTypes(after=page.next))
    assert [each.definition.name for each in page.types] == ["social"]
    assert page.next is None


async def test_defining_the_same_again_changes_nothing(client):
    made = await client.call(DefineType(SOCIAL))
    assert await client.call(DefineType(SOCIAL)) == made


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (GraphType("g", (NodeType("n"), NodeType("n"))), "names a type of its own twice"),
        (
            GraphType("g", (NodeType("n"),), (EdgeType("e", ("m",)),)),
            "the edge type 'e' joins nodes of the type 'm', which the graph type 'g' does not have",
        ),
        (GraphType("", ()), "a graph type's name of 0 characters cannot be kept"),
        (
            GraphType("g", (NodeType("n", {"type": "strin"}),)),
            "the schema of the node type 'n' is none",
        ),
        (
            GraphType("g", (NodeType("n", {"$ref": "http://127.0.0.1:1/x"}),)),
            "a schema stands alone, and this one refers to http://127.0.0.1:1/x",
        ),
        (
            GraphType("g", (NodeType("n", {"$ref": "file:///etc/passwd"}),)),
            "a schema stands alone, and this one refers to file:///etc/passwd",
        ),
    ],
)
async def test_a_definition_that_makes_no_sense_is_refused(client, definition, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        await client.call(DefineType(definition))


def replaced(**fields):
    values = {name: getattr(SOCIAL, name) for name in SOCIAL.__struct_fields__}
    return GraphType(**{**values, **fields})


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (
            replaced(node_types=SOCIAL.node_types[:1], edge_types=SOCIAL.edge_types[:1]),
            "since the node 'home' of the graph 'friends' is there",
        ),
        (
            replaced(
                node_types=(NodeType("person", {"required": ["age"]}), NodeType("place")),
            ),
            "since the node 'ann' of the graph 'friends' is there: the attributes do not fit",
        ),
        (
            replaced(edge_types=(EdgeType("knows", ("place",)), *SOCIAL.edge_types[1:])),
            "since the edge 'ab' of the graph 'friends' is there",
        ),
        (replaced(direction="undirected"), "can be loosened, not tightened"),
    ],
)
async def test_a_definition_that_a_record_would_not_fit_is_refused(friends, definition, message):
    await add_people(friends, "ann", "bob")
    await friends.call(AddNode("friends", "place", key="home"))
    await join(friends, "ann", "bob", "ab")

    with pytest.raises(Conflict, match=re.escape(message)):
        await friends.call(DefineType(definition))

    assert (await friends.call(GetType("social"))).version == 1


async def test_a_definition_that_fits_is_in_force_at_once(friends):
    await add_people(friends, "ann")
    with pytest.raises(InvalidInput, match="has no node type 'robot'; it has person, place"):
        await friends.call(AddNode("friends", "robot"))

    wider = replaced(node_types=(*SOCIAL.node_types, NodeType("robot")), multi=True)
    assert (await friends.call(DefineType(wider, expected_version=1))).version == 2

    assert (await friends.call(AddNode("friends", "robot"))).type == "robot"
    with pytest.raises(Conflict, match="is at version 2, not 1"):
        await friends.call(DefineType(SOCIAL, expected_version=1))


async def test_a_type_in_use_is_not_deleted(friends):
    with pytest.raises(Conflict, match="in use, by the graph 'friends' for one"):
        await friends.call(DeleteType("social"))
    await friends.call(DeleteGraph("friends"))
    await friends.call(DeleteType("social"))
    with pytest.raises(NotFound, match="no graph type 'social'"):
        await friends.call(CreateGraph("friends", "social"))
