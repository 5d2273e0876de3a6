"""Nodes in the database."""

from collections.abc import Mapping
from typing import Any, Final

import apsw
import msgspec

from alknet.errors import Conflict
from alknet.protocol.storage.nodes import Node, NodePage
from alknet.store.catalogue import MAX_PAGE, OpenGraph, checked_key, missing
from alknet.store.change import Change, expect
from alknet.store.edges import delete_all_of

_COLUMNS: Final = "key, type, attributes, version, created_at, updated_at"
_decode: Final = msgspec.json.Decoder().decode


def add(
    change: Change, graph: str, type: str, attributes: Mapping[str, Any], key: str | None = None
) -> Node:
    """Add a node to the graph called *graph*, and tell of it.

    Raises:
        NotFound: there is no such graph.
        InvalidInput: it has no such node type, or the attributes do not fit it.
        Conflict: the key is taken, or the graph is archived.
    """
    key = insert(change, change.graph(graph), type, attributes, key)
    change.created("nodes", key, type, graph=graph)
    return Node(graph, key, type, attributes, 1, change.now, change.now)


def insert(
    change: Change, graph: OpenGraph, type: str, attributes: Mapping[str, Any], key: str | None
) -> str:
    """Add a node that nobody is told of; return its key. Errors are those of `add`."""
    text = graph.type.node_attributes(type, attributes)
    key = change.new_key() if key is None else checked_key("a node's key", key)
    try:
        change.connection.execute(
            "insert into nodes values (?, ?, ?, ?, 1, ?, ?)",
            (graph.id, key, type, text, change.now, change.now),
        )
    except apsw.ConstraintError:
        raise Conflict(f"there is a node {key!r} in the graph {graph.name!r} already") from None
    return key


def get(connection: apsw.Connection, graph: OpenGraph, key: str) -> Node:
    """Return the node at *key*.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(
        f"select {_COLUMNS} from nodes where graph = ? and key = ?", (graph.id, key)
    ).fetchone()
    if row is None:
        raise missing("node", key, graph.name)
    return _node(graph.name, row)


def page(
    connection: apsw.Connection, graph: OpenGraph, type: str | None, after: str, limit: int
) -> NodePage:
    """Return at most *limit* nodes whose keys follow *after*, of *type* if it is not None."""
    limit = min(limit, MAX_PAGE)
    of_type = "" if type is None else "and type = ?"
    bindings = (graph.id, after, limit) if type is None else (graph.id, after, type, limit)
    rows = connection.execute(
        f"select {_COLUMNS} from nodes where graph = ? and key > ? {of_type} order by key limit ?",
        bindings,
    ).fetchall()
    nodes = tuple(_node(graph.name, row) for row in rows)
    return NodePage(nodes, nodes[-1].key if len(nodes) == limit else None)


def update(
    change: Change,
    graph: str,
    key: str,
    attributes: Mapping[str, Any],
    expected: int | None = None,
) -> Node:
    """Put *attributes* in the place of those of the node at *key*.

    Raises:
        NotFound: there is no such graph or node.
        InvalidInput: the attributes do not fit its type.
        Conflict: it is not at the version *expected*, or the graph is archived.
    """
    opened = change.graph(graph)
    kept = get(change.connection, opened, key)
    expect("node", key, kept.version, expected)
    text = opened.type.node_attributes(kept.type, attributes)
    version = kept.version + 1
    change.connection.execute(
        "update nodes set attributes = ?, version = ?, updated_at = ? where graph = ? and key = ?",
        (text, version, change.now, opened.id, key),
    )
    change.updated("nodes", key, kept.type, version, graph=graph)
    return Node(graph, key, kept.type, attributes, version, kept.created_at, change.now)


def delete(
    change: Change, graph: str, key: str, *, cascade: bool, expected: int | None = None
) -> None:
    """Delete the node at *key*, and with *cascade* the edges that join it.

    Raises:
        NotFound: there is no such graph or node.
        Conflict: it is not at the version *expected*, edges join it, or the graph is archived.
    """
    opened = change.graph(graph)
    kept = get(change.connection, opened, key)
    expect("node", key, kept.version, expected)
    delete_all_of(change, opened, key, cascade=cascade)
    change.connection.execute("delete from nodes where graph = ? and key = ?", (opened.id, key))
    change.deleted("nodes", key, kept.type, kept.version, graph=graph)


def _node(graph: str, row: tuple[Any, ...]) -> Node:
    key, type, attributes, version, created_at, updated_at = row
    return Node(graph, key, type, _decode(attributes), version, created_at, updated_at)
