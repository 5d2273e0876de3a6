"""Edges join what their type allows, once, and lead where they should."""

import itertools
import re

import pytest

from alknet.errors import Conflict, InvalidInput, NotFound
from alknet.protocol.storage import (
    AddEdge,
    AddNode,
    CreateGraph,
    DefineType,
    DeleteEdge,
    EdgeType,
    GetEdge,
    GraphType,
    ListEdges,
    ListNeighbours,
    NodeType,
    Traverse,
    UpdateEdge,
)

from .conftest import add_people, join


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (AddEdge("friends", "likes", "a", "b"), InvalidInput, "has no edge type 'likes'"),
        (AddEdge("friends", "knows", "a", "x"), NotFound, "there is no node 'x'"),
        (AddEdge("friends", "knows", "a", "a"), InvalidInput, "no edge from a node to itself"),
        (
            AddEdge("friends", "lives-in", "a", "b"),
            InvalidInput,
            "does not lead from a 'person' to a 'person': it leads from 'person' to 'place'",
        ),
        (
            AddEdge("friends", "knows", "a", "b", key="other"),
            Conflict,
            "the edge 'ab' of the type 'knows' leads from 'a' to 'b' already",
        ),
        (AddEdge("friends", "anything", "a", "b", key="ab"), Conflict, "there is an edge 'ab'"),
        (
            AddEdge("friends", "knows", "b", "a", undirected=True),
            InvalidInput,
            "are directed: leave `undirected` out",
        ),
        (GetEdge("friends", "x"), NotFound, "there is no edge 'x' in the graph 'friends'"),
        (DeleteEdge("friends", "ab", expected_version=2), Conflict, "is at version 1, not 2"),
    ],
)
async def test_what_is_not_allowed_is_refused_with_a_reason(friends, request_, error, message):
    await add_people(friends, "a", "b")
    await join(friends, "a", "b", "ab")
    with pytest.raises(error, match=re.escape(message)):
        await friends.call(request_)
    assert [edge.key for edge in (await friends.call(ListEdges("friends"))).edges] == ["ab"]


async def test_an_edge_is_kept_changed_and_deleted(friends):
    await add_people(friends, "a", "b")
    made = await join(friends, "a", "b", "ab", attributes={"since": 1})
    assert await friends.call(GetEdge("friends", "ab")) == made
    assert (made.source, made.target, made.undirected) == ("a", "b", False)
    changed = await friends.call(UpdateEdge("friends", "ab", {"since": 2}, expected_version=1))
    assert await friends.call(GetEdge("friends", "ab")) == changed
    assert (changed.attributes, changed.version) == ({"since": 2}, 2)
    await friends.call(DeleteEdge("friends", "ab"))
    assert (await friends.call(ListEdges("friends", type="knows"))).edges == ()


@pytest.mark.parametrize("direction", ["directed", "undirected", "mixed"])
@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize(("first", "second"), list(itertools.product([False, True], [False, True])))
async def test_one_edge_of_a_type_leads_from_one_node_to_another_unless_many_may(
    client, direction, multi, first, second
):
    if direction != "mixed":
        first = second = direction == "undirected"
    await client.call(
        DefineType(
            GraphType(
                "t", (NodeType("person"),), (EdgeType("knows"),), direction=direction, multi=multi
            )
        )
    )
    await client.call(CreateGraph("g", "t"))
    await add_people(client, "a", "b", graph="g")
    await join(client, "b", "a", "first", graph="g", undirected=first)

    opposite = join(client, "a", "b", "opposite", graph="g", undirected=second)
    if multi or not (first or second):
        await opposite
    else:
        with pytest.raises(Conflict, match="the edge 'first' of the type 'knows' leads"):
            await opposite


async def test_an_undirected_edge_fits_either_way_round(client):
    edge_type = EdgeType("lives-in", ("person",), ("place",))
    types = (NodeType("person"), NodeType("place"))
    await client.call(DefineType(GraphType("t", types, (edge_type,), direction="undirected")))
    await client.call(CreateGraph("g", "t"))
    await client.call(AddNode("g", "place", key="a-place"))
    await add_people(client, "z-person", graph="g")
    made = await join(client, "z-person", "a-place", "e", type="lives-in", graph="g")
    assert (made.source, made.target, made.undirected) == ("a-place", "z-person", True)


async def test_neighbours_come_in_pages(friends):
    await add_people(friends, *"abcde")
    for other in "bcde":
        await join(friends, "a", other, other)
    page = await friends.call(ListNeighbours("friends", "a", limit=3))
    assert ([each.node for each in page.neighbours], page.next) == (["b", "c", "d"], "d")
    page = await friends.call(ListNeighbours("friends", "a", after="d", limit=3))
    assert ([each.node for each in page.neighbours], page.next) == (["e"], None)
    with pytest.raises(NotFound, match="there is no node 'x'"):
        await friends.call(ListNeighbours("friends", "x"))
    with pytest.raises(NotFound, match="there is no node 'x'"):
        await friends.call(Traverse("friends", "x"))
