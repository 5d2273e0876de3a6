"""Graphs are made, found, changed and deleted; archived ones stay as they are."""

import pytest

from alknet import open_node
from alknet.errors import Conflict, InvalidInput, NotFound, SettingsError
from alknet.protocol.storage import (
    AddNode,
    CreateGraph,
    DeleteGraph,
    DeleteNode,
    GetGraph,
    ListGraphs,
    ListNodes,
    UpdateGraph,
    UpdateNode,
)

from .conftest import add_people, join, settings


async def test_a_graph_is_kept_as_made(friends):
    made = await friends.call(
        CreateGraph("work", "social", description="d", metadata={"a": [1, None]}, status="draft")
    )

    assert await friends.call(GetGraph("work")) == made
    assert (made.owner, made.version, made.status) == ("head", 1, "draft")
    assert made.metadata == {"a": [1, None]}


async def test_a_graph_is_there_once(friends):
    with pytest.raises(Conflict, match="there is a graph 'friends' already"):
        await friends.call(CreateGraph("friends", "social"))
    with pytest.raises(NotFound, match="there is no graph type 'nope'"):
        await friends.call(CreateGraph("x", "nope"))
    with pytest.raises(NotFound, match="there is no graph 'nope'"):
        await friends.call(GetGraph("nope"))


async def test_a_list_goes_on_where_it_ended_and_ends(friends):
    for name in "cadb":
        await friends.call(CreateGraph(name, "social"))
    seen, after = [], ""
    while after is not None:
        page = await friends.call(ListGraphs(after=after, limit=2))
        assert len(page.graphs) <= 2
        seen += [graph.name for graph in page.graphs]
        after = page.next
    assert seen == ["a", "b", "c", "d", "friends"]
    assert (await friends.call(ListGraphs(owner="nobody"))).graphs == ()


async def test_an_update_changes_what_is_given_and_only_from_the_expected_version(friends):
    changed = await friends.call(UpdateGraph("friends", description="new", expected_version=1))
    assert (changed.description, changed.version, changed.status) == ("new", 2, "active")
    with pytest.raises(Conflict, match="is at version 2, not 1") as caught:
        await friends.call(UpdateGraph("friends", metadata={}, expected_version=1))
    assert caught.value.details == {"version": 2}


async def test_an_archived_graph_is_read_and_not_changed(friends):
    await add_people(friends, "ann")
    await friends.call(UpdateGraph("friends", status="archived"))

    for request in (
        AddNode("friends", "person"),
        UpdateNode("friends", "ann", {}),
        DeleteNode("friends", "ann"),
        DeleteGraph("friends", cascade=True),
    ):
        with pytest.raises(Conflict, match="is archived: set its status to 'active'"):
            await friends.call(request)
    assert len((await friends.call(ListNodes("friends"))).nodes) == 1
    await friends.call(UpdateGraph("friends", status="active"))
    await friends.call(DeleteNode("friends", "ann"))


async def test_a_graph_that_is_not_empty_goes_only_with_all_it_holds(friends):
    await add_people(friends, "ann", "bob")
    await join(friends, "ann", "bob", "ab")
    with pytest.raises(Conflict, match="not empty, it has the node 'ann' for one"):
        await friends.call(DeleteGraph("friends"))
    await friends.call(DeleteGraph("friends", cascade=True))
    await friends.call(CreateGraph("friends", "social"))
    assert (await friends.call(ListNodes("friends"))).nodes == ()


async def test_what_is_kept_outlives_the_node(tmp_path):
    path = tmp_path / "kept.db"
    async with open_node(settings(path)) as node:
        await node.client.invoke(
            "/head/storage/define-type",
            {"definition": {"name": "t", "node_types": [{"name": "n"}]}},
        )
        await node.client.invoke("/head/storage/create-graph", {"name": "g", "type": "t"})
        made = await node.client.invoke("/head/storage/add-node", {"graph": "g", "type": "n"})
        with pytest.raises(SettingsError, match="in use by process"):
            async with open_node(settings(path)):
                pass
    async with open_node(settings(path)) as node:
        got = await node.client.invoke("/head/storage/get-node", {"graph": "g", "key": made["key"]})
    assert got == made


async def test_without_a_path_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    async with open_node() as node:
        assert "storage" in node.services
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


async def test_a_value_that_cannot_be_written_as_json_is_refused(friends):
    with pytest.raises(InvalidInput, match="no way to write NaN"):
        await friends.call(CreateGraph("x", "social", metadata={"deep": [{"a": float("nan")}]}))
    with pytest.raises(InvalidInput, match="1048576 is the most"):
        await friends.call(CreateGraph("x", "social", metadata={"long": "x" * (1 << 20)}))
