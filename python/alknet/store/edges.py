"""Edges in the database."""

from collections.abc import Mapping
from typing import Any, Final

import apsw
import msgspec

from alknet.errors import Conflict, InvalidInput
from alknet.protocol.storage.edges import Edge, EdgePage
from alknet.store.catalogue import MAX_PAGE, OpenGraph, checked_key, missing
from alknet.store.change import Change, expect

_COLUMNS: Final = (
    "key, type, source, target, undirected, attributes, version, created_at, updated_at"
)
_decode: Final = msgspec.json.Decoder().decode


def add(
    change: Change,
    graph: str,
    type: str,
    source: str,
    target: str,
    attributes: Mapping[str, Any],
    *,
    key: str | None = None,
    undirected: bool | None = None,
) -> Edge:
    """Join two nodes of the graph called *graph*, and tell of it.

    Raises:
        NotFound: there is no such graph, or no such node in it.
        InvalidInput: its type does not allow such an edge.
        Conflict: the key is taken, the graph is archived, or there is such an edge already and its
            type allows only one.
    """
    opened = change.graph(graph)
    key = insert(change, opened, type, source, target, attributes, key, undirected)
    change.created("edges", key, type, graph=graph)
    return get(change.connection, opened, key)


def insert(
    change: Change,
    graph: OpenGraph,
    type: str,
    source: str,
    target: str,
    attributes: Mapping[str, Any],
    key: str | None,
    undirected: bool | None,
) -> str:
    """Join two nodes with an edge that nobody is told of; return its key. Errors as of `add`."""
    text = graph.type.edge_attributes(type, attributes)
    is_undirected = _is_undirected(graph, undirected)
    definition = graph.type.definition
    if source == target and not definition.self_loops:
        raise InvalidInput(
            f"the graph type {definition.name!r} allows no edge from a node to itself, and "
            f"{source!r} is both ends of this one",
            details={"field": "target"},
        )
    connection = change.connection
    ends = [_type_of(connection, graph, end) for end in (source, target)]
    graph.type.check_ends(type, ends[0], ends[1], undirected=is_undirected)
    if is_undirected and target < source:
        source, target = target, source
    if not definition.multi:
        _refuse_second(connection, graph, type, source, target, undirected=is_undirected)
    key = change.new_key() if key is None else checked_key("an edge's key", key)
    try:
        connection.execute(
            "insert into edges values (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
            (graph.id, key, type, source, target, is_undirected, text, change.now, change.now),
        )
    except apsw.ConstraintError:
        raise Conflict(f"there is an edge {key!r} in the graph {graph.name!r} already") from None
    return key


def get(connection: apsw.Connection, graph: OpenGraph, key: str) -> Edge:
    """Return the edge at *key*.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(
        f"select {_COLUMNS} from edges where graph = ? and key = ?", (graph.id, key)
    ).fetchone()
    if row is None:
        raise missing("edge", key, graph.name)
    return _edge(graph.name, row)


def page(
    connection: apsw.Connection, graph: OpenGraph, type: str | None, after: str, limit: int
) -> EdgePage:
    """Return at most *limit* edges whose keys follow *after*, of *type* if it is not None."""
    limit = min(limit, MAX_PAGE)
    of_type = "" if type is None else "and type = ?"
    bindings = (graph.id, after, limit) if type is None else (graph.id, after, type, limit)
    rows = connection.execute(
        f"select {_COLUMNS} from edges where graph = ? and key > ? {of_type} order by key limit ?",
        bindings,
    ).fetchall()
    edges = tuple(_edge(graph.name, row) for row in rows)
    return EdgePage(edges, edges[-1].key if len(edges) == limit else None)


def update(
    change: Change,
    graph: str,
    key: str,
    attributes: Mapping[str, Any],
    expected: int | None = None,
) -> Edge:
    """Put *attributes* in the place of those of the edge at *key*.

    Raises:
        NotFound: there is no such graph or edge.
        InvalidInput: the attributes do not fit its type.
        Conflict: it is not at the version *expected*, or the graph is archived.
    """
    opened = change.graph(graph)
    kept = get(change.connection, opened, key)
    expect("edge", key, kept.version, expected)
    text = opened.type.edge_attributes(kept.type, attributes)
    version = kept.version + 1
    change.connection.execute(
        "update edges set attributes = ?, version = ?, updated_at = ? where graph = ? and key = ?",
        (text, version, change.now, opened.id, key),
    )
    change.updated("edges", key, kept.type, version, graph=graph)
    return msgspec.structs.replace(
        kept, attributes=attributes, version=version, updated_at=change.now
    )


def delete(change: Change, graph: str, key: str, expected: int | None = None) -> None:
    """Delete the edge at *key*.

    Raises:
        NotFound: there is no such graph or edge.
        Conflict: it is not at the version *expected*, or the graph is archived.
    """
    opened = change.graph(graph)
    kept = get(change.connection, opened, key)
    expect("edge", key, kept.version, expected)
    change.connection.execute("delete from edges where graph = ? and key = ?", (opened.id, key))
    change.deleted("edges", key, kept.type, kept.version, graph=graph)


def delete_all_of(change: Change, graph: OpenGraph, node: str, *, cascade: bool) -> None:
    """Delete the edges that join *node*, and tell of each.

    Raises:
        Conflict: there is one, and *cascade* is not set.
    """
    connection = change.connection
    joined: list[Any] = connection.execute(
        "select key, type, version from edges where graph = ?1 and source = ?2 union "
        "select key, type, version from edges where graph = ?1 and target = ?2 order by key",
        (graph.id, node),
    ).fetchall()
    if joined and not cascade:
        raise Conflict(
            f"{len(joined)} edges join the node {node!r}, {joined[0][0]!r} for one: delete them "
            f"first, or the node with `cascade`"
        )
    for key, type, version in joined:
        connection.execute("delete from edges where graph = ? and key = ?", (graph.id, key))
        change.deleted("edges", key, type, version, graph=graph.name)


def _is_undirected(graph: OpenGraph, asked: bool | None) -> bool:
    direction = graph.type.definition.direction
    if direction == "mixed":
        return bool(asked)
    if asked is not None and asked != (direction == "undirected"):
        raise InvalidInput(
            f"the edges of the graph {graph.name!r} are {direction}: leave `undirected` out",
            details={"field": "undirected"},
        )
    return direction == "undirected"


def _type_of(connection: apsw.Connection, graph: OpenGraph, key: str) -> str:
    row = connection.execute(
        "select type from nodes where graph = ? and key = ?", (graph.id, key)
    ).fetchone()
    if row is None:
        raise missing("node", key, graph.name)
    return str(row[0])


def _refuse_second(
    connection: apsw.Connection,
    graph: OpenGraph,
    type: str,
    source: str,
    target: str,
    *,
    undirected: bool,
) -> None:
    """Refuse a second edge of a type between the same nodes, in a direction the first one has."""
    taken = connection.execute(
        "select key from edges where graph = ?1 and source = ?3 and type = ?2 and target = ?4 "
        "union all select key from edges where graph = ?1 and source = ?4 and type = ?2 and "
        "target = ?3 and (undirected or ?5) limit 1",
        (graph.id, type, source, target, undirected),
    ).fetchone()
    if taken is not None:
        raise Conflict(
            f"the edge {taken[0]!r} of the type {type!r} leads from {source!r} to {target!r} "
            f"already, and the graph type {graph.type.definition.name!r} allows one (`multi`)"
        )


def _edge(graph: str, row: tuple[Any, ...]) -> Edge:
    key, type, source, target, undirected, attributes, *rest = row
    return Edge(graph, key, type, source, target, bool(undirected), _decode(attributes), *rest)
