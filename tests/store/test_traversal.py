"""Neighbours and traversals find what a plain search finds."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.protocol.storage import EdgeType, GraphType, NodeType
from alknet.store import edges as edge_store
from alknet.store import graphs, migrations, nodes, types
from alknet.store.catalogue import Catalogue
from alknet.store.change import Change
from alknet.store.connection import open_writer
from alknet.store.traversal import neighbours, traverse

NODES = "abcdef"
EDGES = st.lists(
    st.tuples(
        st.sampled_from(NODES),
        st.sampled_from(NODES),
        st.sampled_from(["knows", "likes"]),
        st.booleans(),
    ),
    max_size=12,
)


def steps(edges, node, direction, types):
    """Return where one edge leads from *node*, as (other end, number of the edge)."""
    found = set()
    for number, (source, target, type, undirected) in enumerate(edges):
        if types and type not in types:
            continue
        if source == node and (direction in ("out", "both") or undirected):
            found.add((target, number))
        if target == node and (direction in ("in", "both") or undirected):
            found.add((source, number))
    return found


def walk(edges, start, direction, types, depth):
    """Return the distance of every node that is reached, by plain search."""
    distance, level = {start: 0}, {start}
    for far in range(1, depth + 1):
        ends = (end for node in level for end, _ in steps(edges, node, direction, types))
        level = {end for end in ends if end not in distance}
        distance |= dict.fromkeys(level, far)
    del distance[start]
    return sorted(distance.items(), key=lambda item: (item[1], item[0]))


@pytest.fixture(scope="module")
def change(tmp_path_factory):
    path = tmp_path_factory.mktemp("traversal") / "test.db"
    connection = open_writer(path, "normal", "none")
    migrations.apply(connection, path)
    change = Change(connection, Catalogue(), None)
    kinds = (EdgeType("knows"), EdgeType("likes"))
    types.define(
        change,
        GraphType("t", (NodeType("n"),), kinds, direction="mixed", multi=True, self_loops=True),
    )
    yield change
    connection.close()


COUNT = itertools.count()


@given(
    edges=EDGES,
    direction=st.sampled_from(["out", "in", "both"]),
    kinds=st.sampled_from([(), ("knows",), ("knows", "likes")]),
    depth=st.integers(1, 4),
)
@settings(deadline=None)
def test_a_traversal_reaches_what_a_plain_search_does(change, edges, direction, kinds, depth):
    name = f"g{next(COUNT)}"
    graphs.create(change, name, "t")
    for key in NODES:
        nodes.add(change, name, "n", {}, key)
    for number, (source, target, kind, undirected) in enumerate(edges):
        edge_store.add(
            change, name, kind, source, target, {}, key=str(number), undirected=undirected
        )
    graph = change.graph(name)

    def reach(limit):
        return traverse(change.connection, graph, "a", direction, kinds, depth, limit)

    expected = walk(edges, "a", direction, kinds, depth)
    assert [(each.node, each.depth) for each in reach(100).reached] == expected
    for limit in range(1, len(expected) + 1):
        part = reach(limit)
        assert [(each.node, each.depth) for each in part.reached] == expected[:limit]
        assert part.is_complete == (limit == len(expected))
    kind = kinds[0] if len(kinds) == 1 else None
    near = neighbours(change.connection, graph, "a", direction, kind, "", 100)
    found = {(each.node, int(each.edge)) for each in near.neighbours}
    assert found == steps(edges, "a", direction, kinds if kind else ())
