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
from alknet.store.sealing import Plain, Sealed, Unsealed, from_text, is_current, to_text

_COLUMNS: Final = "key, type, attributes, key_version, version, created_at, updated_at"
_decode: Final = msgspec.json.Decoder().decode


def add(
    change: Change,
    graph: str,
    type: str,
    attributes: Mapping[str, Any],
    key: str | None = None,
    sealed: Sealed | None = None,
) -> Node:
    """Add a node to the graph called *graph*, and tell of it.

    Raises:
        NotFound: there is no such graph.
        InvalidInput: it has no such node type, or the attributes do not fit it.
        Conflict: the key is taken, or the graph is archived.
        Unsealed: its type is sealed, and *sealed* is not what it has to be.
    """
    opened = change.graph(graph)
    key = insert(change, opened, type, attributes, key, sealed)
    change.created("nodes", key, type, graph=graph)
    return _written(opened, key, type, attributes, sealed, 1, change.now, change.now)


def insert(
    change: Change,
    graph: OpenGraph,
    type: str,
    attributes: Mapping[str, Any],
    key: str | None,
    sealed: Sealed | None = None,
) -> str:
    """Add a node that nobody is told of; return its key. Errors are those of `add`."""
    text = graph.type.node_attributes(type, attributes)
    key_version = None
    if type in graph.type.sealed:
        if sealed is None or not is_current(graph, sealed):
            raise Unsealed({0: plain(change, graph, type, attributes, key)})
        key, text, key_version = sealed.key, to_text(sealed.sealing), graph.key_version
    key = change.new_key() if key is None else checked_key("a node's key", key)
    try:
        change.connection.execute(
            "insert into nodes values (?, ?, ?, ?, 1, ?, ?, ?)",
            (graph.id, key, type, text, change.now, change.now, key_version),
        )
    except apsw.ConstraintError:
        raise Conflict(f"there is a node {key!r} in the graph {graph.name!r} already") from None
    return key


def plain(
    change: Change, graph: OpenGraph, type: str, attributes: Mapping[str, Any], key: str | None
) -> Plain:
    """Return what has to be sealed before it can be added; a key that is None is made up.

    Raises:
        InvalidInput: there is no such node type, or the attributes do not fit it.
    """
    text = graph.type.node_attributes(type, attributes)
    key = change.new_key() if key is None else checked_key("a node's key", key)
    return Plain(graph.name, key, text, graph.key_version)


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
    sealed: Sealed | None = None,
) -> Node:
    """Put *attributes* in the place of those of the node at *key*.

    Raises:
        NotFound: there is no such graph or node.
        InvalidInput: the attributes do not fit its type.
        Conflict: it is not at the version *expected*, or the graph is archived.
        Unsealed: its type is sealed, and *sealed* is not what it has to be.
    """
    opened = change.graph(graph)
    kept = get(change.connection, opened, key)
    expect("node", key, kept.version, expected)
    text = opened.type.node_attributes(kept.type, attributes)
    key_version = None
    if kept.type in opened.type.sealed:
        if sealed is None or not is_current(opened, sealed):
            raise Unsealed({0: Plain(graph, key, text, opened.key_version)})
        text, key_version = to_text(sealed.sealing), opened.key_version
    version = kept.version + 1
    change.connection.execute(
        "update nodes set attributes = ?, key_version = ?, version = ?, updated_at = ? "
        "where graph = ? and key = ?",
        (text, key_version, version, change.now, opened.id, key),
    )
    change.updated("nodes", key, kept.type, version, graph=graph)
    return _written(
        opened, key, kept.type, attributes, sealed, version, kept.created_at, change.now
    )


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
    key, type, text, key_version, version, created_at, updated_at = row
    if key_version is None:
        return Node(graph, key, type, _decode(text), version, created_at, updated_at)
    return Node(graph, key, type, {}, version, created_at, updated_at, from_text(text))


def _written(
    graph: OpenGraph,
    key: str,
    type: str,
    attributes: Mapping[str, Any],
    sealed: Sealed | None,
    version: int,
    created_at: float,
    updated_at: float,
) -> Node:
    """Return a node as `get` would find it, just written."""
    if type not in graph.type.sealed or sealed is None:
        return Node(graph.name, key, type, attributes, version, created_at, updated_at)
    return Node(graph.name, key, type, {}, version, created_at, updated_at, sealed.sealing)
