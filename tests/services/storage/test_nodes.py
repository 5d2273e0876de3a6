"""Nodes fit their type, are found by key, and change only from the version that was read."""

import re

import pytest

from alknet.errors import Conflict, InvalidInput, NotFound
from alknet.protocol.storage import (
    AddNode,
    DeleteNode,
    GetEdge,
    GetNode,
    ListNodes,
    UpdateNode,
)

from .conftest import add_people, join


async def test_a_node_is_kept_as_added(friends):
    made = await friends.call(AddNode("friends", "person", {"age": 7}, key="ann"))
    assert await friends.call(GetNode("friends", "ann")) == made
    assert (made.attributes, made.version, made.type) == ({"age": 7}, 1, "person")


async def test_a_node_without_a_key_gets_one_and_later_ones_sort_behind(friends):
    made = [(await friends.call(AddNode("friends", "person"))).key for _ in range(20)]
    assert len(set(made)) == 20
    listed = (await friends.call(ListNodes("friends"))).nodes
    assert sorted(made) == [node.key for node in listed]


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (AddNode("nope", "person"), NotFound, "there is no graph 'nope'"),
        (AddNode("friends", "robot"), InvalidInput, "has no node type 'robot'"),
        (AddNode("friends", "person", key="x" * 256), InvalidInput, "of 256 characters"),
        (
            AddNode("friends", "person", {"age": "hunter2"}),
            InvalidInput,
            "do not fit the node type 'person': the value is not of type \"integer\" (at 'age')",
        ),
        (AddNode("friends", "person", {"name": "x"}), InvalidInput, "Additional properties"),
        (AddNode("friends", "person", key="ann"), Conflict, "there is a node 'ann' in the graph"),
        (GetNode("friends", "eve"), NotFound, "there is no node 'eve' in the graph 'friends'"),
        (UpdateNode("friends", "eve", {}), NotFound, "there is no node 'eve'"),
        (UpdateNode("friends", "ann", {"age": -1}), InvalidInput, "is less than the minimum"),
        (DeleteNode("friends", "eve"), NotFound, "there is no node 'eve'"),
    ],
)
async def test_what_does_not_fit_is_refused_with_a_reason(friends, request_, error, message):
    await add_people(friends, "ann")
    with pytest.raises(error, match=re.escape(message)):
        await friends.call(request_)
    assert len((await friends.call(ListNodes("friends"))).nodes) == 1


async def test_an_update_replaces_the_attributes_from_the_expected_version_on(friends):
    made = await friends.call(AddNode("friends", "person", {"age": 7}, key="ann"))
    changed = await friends.call(UpdateNode("friends", "ann", {"age": 8}, expected_version=1))
    assert await friends.call(GetNode("friends", "ann")) == changed
    assert (changed.version, changed.created_at) == (2, made.created_at)
    with pytest.raises(Conflict) as caught:
        await friends.call(UpdateNode("friends", "ann", {"age": 9}, expected_version=1))
    assert caught.value.details == {"version": 2}
    with pytest.raises(Conflict):
        await friends.call(DeleteNode("friends", "ann", expected_version=1))


async def test_a_node_that_edges_join_goes_only_with_them(friends):
    await add_people(friends, "ann", "bob", "cid")
    for source, target in (("ann", "bob"), ("bob", "cid"), ("cid", "ann")):
        await join(friends, source, target, source + target)
    with pytest.raises(Conflict, match="2 edges join the node 'ann', 'annbob' for one"):
        await friends.call(DeleteNode("friends", "ann"))
    await friends.call(DeleteNode("friends", "ann", cascade=True))
    with pytest.raises(NotFound):
        await friends.call(GetEdge("friends", "cidann"))
    assert (await friends.call(GetEdge("friends", "bobcid"))).source == "bob"


async def test_a_list_can_be_of_one_type_and_goes_on_where_it_ended(friends):
    await add_people(friends, *"fbdace")
    await friends.call(AddNode("friends", "place", key="bb"))
    page = await friends.call(ListNodes("friends", type="person", limit=3))
    assert ([node.key for node in page.nodes], page.next) == (["a", "b", "c"], "c")
    page = await friends.call(ListNodes("friends", type="person", after="c", limit=4))
    assert ([node.key for node in page.nodes], page.next) == (["d", "e", "f"], None)
