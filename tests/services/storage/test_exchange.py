"""Many records in one transaction, and whole graphs as lines."""

import msgspec
import pytest
import trio
import trio.testing

from alknet import open_node
from alknet.errors import CallError, Conflict, InvalidInput, NotFound
from alknet.protocol.storage import (
    AddBatch,
    AddNode,
    Counts,
    CreateGraph,
    EdgeLine,
    Export,
    GetGraph,
    GraphLine,
    Import,
    Line,
    ListEdges,
    ListGraphs,
    ListNodes,
    NodeLine,
    NodeType,
    TypeLine,
    Watch,
)

from .conftest import SOCIAL, settings

PEOPLE = tuple(NodeLine("person", {"age": n}, f"p{n:04}") for n in range(700))
PAIRS = tuple(
    EdgeLine("knows", f"p{n:04}", f"p{n + 1:04}", {"n": n}, f"e{n:04}", undirected=False)
    for n in range(650)
)


async def exported(client, graph):
    async with client.stream(Export(graph)) as lines:
        return [line async for line in lines]


async def test_a_batch_is_added_whole_with_an_event_for_each(friends):
    counts = await friends.call(AddBatch("friends", (*PEOPLE[:3], *PAIRS[:2])))
    assert counts == Counts(nodes=3, edges=2)
    async with friends.stream(Watch("edges", after=0)) as events:
        assert (await anext(events)).key == "e0000"


async def test_a_batch_with_a_fault_is_not_added_at_all(friends):
    records = (*PEOPLE[:3], EdgeLine("knows", "p0000", "nobody"), *PEOPLE[3:])
    with pytest.raises(NotFound, match="there is no node 'nobody'") as caught:
        await friends.call(AddBatch("friends", records))
    assert caught.value.details == {"index": 3}
    assert (await friends.call(ListNodes("friends"))).nodes == ()


async def test_an_export_imports_as_the_same_graph(friends, tmp_path):
    await friends.call(CreateGraph("big", "social", description="d", metadata={"a": 1}))
    for start in (0, 350):
        await friends.call(AddBatch("big", PEOPLE[start : start + 350]))
    await friends.call(AddBatch("big", PAIRS))
    lines = await exported(friends, "big")

    assert lines[:2] == [TypeLine(SOCIAL), GraphLine("big", "social", "d", {"a": 1})]
    assert tuple(lines[2:]) == PEOPLE + PAIRS
    text = b"\n".join(map(msgspec.json.encode, lines))
    reread = [msgspec.json.decode(line, type=Line) for line in text.splitlines()]

    async with open_node(settings(tmp_path / "other.db")) as node:
        assert await node.client.upload(Import(), reread) == Counts(nodes=700, edges=650)
        assert await exported(node.client, "big") == lines
    assert await friends.upload(Import(name="copy"), lines) == Counts(nodes=700, edges=650)
    assert (await exported(friends, "copy"))[2:] == lines[2:]


async def test_an_import_is_told_of_once_when_it_is_there(friends):
    async with friends.stream(Watch("graphs")) as events, friends.stream(Watch("nodes")) as nodes:
        await trio.testing.wait_all_tasks_blocked()
        await friends.upload(Import(), [GraphLine("new", "social"), *PEOPLE[:250]])
        assert (await anext(events)).key == "new"
        await friends.call(AddNode("new", "person", key="later"))
        assert (await anext(nodes)).key == "later"


OTHER = msgspec.structs.replace(SOCIAL, node_types=(NodeType("person"),), edge_types=())


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ([], InvalidInput, "begins with the line of the graph"),
        ([NodeLine("person")], InvalidInput, "begins with the line of the graph"),
        ([TypeLine(SOCIAL)], InvalidInput, "begins with the line of the graph"),
        ([TypeLine(OTHER), GraphLine("x", "social")], Conflict, "another graph type 'social' here"),
        ([GraphLine("x", "nope")], NotFound, "there is no graph type 'nope'"),
        ([GraphLine("friends", "social")], Conflict, "there is a graph 'friends' already"),
        ([GraphLine("x", "social"), TypeLine(SOCIAL)], InvalidInput, "come nodes and edges"),
        ([GraphLine("x", "social"), *PEOPLE, PEOPLE[0]], Conflict, "a node 'p0000' in the graph"),
    ],
)
async def test_an_import_with_a_fault_leaves_nothing(friends, lines, error, message):
    with pytest.raises(error, match=message):
        await friends.upload(Import(), lines)
    assert [graph.name for graph in (await friends.call(ListGraphs())).graphs] == ["friends"]
    await friends.upload(Import(), [GraphLine("x", "social")])


async def test_an_import_that_is_given_up_is_not_seen_and_leaves_nothing(friends):
    begun = trio.Event()

    async def endless():
        yield GraphLine("x", "social")
        for person in PEOPLE:
            yield person
        begun.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(friends.upload, Import(), endless())
        await begun.wait()
        with pytest.raises(NotFound):
            await friends.call(GetGraph("x"))
        with pytest.raises(CallError):
            await friends.call(ListEdges("x"))
        with pytest.raises(Conflict, match="there is a graph 'x' already"):
            await friends.call(CreateGraph("x", "social"))
        nursery.cancel_scope.cancel()

    with trio.fail_after(5):
        while True:
            try:
                await friends.call(CreateGraph("x", "social"))
            except Conflict:
                await trio.sleep(0.01)
            else:
                break
    assert (await friends.call(ListNodes("x"))).nodes == ()
