"""Graph types in the database."""

from typing import Any, Final

import apsw
import msgspec

from alknet.errors import Conflict, InvalidInput
from alknet.protocol.storage.types import GraphType, GraphTypeRecord, TypePage
from alknet.store.catalogue import (
    MAX_PAGE,
    CompiledType,
    checked_key,
    digest_of,
    json_text,
    missing,
)
from alknet.store.change import Change, expect

_COLUMNS: Final = "definition, version, created_at, updated_at"


def define(change: Change, definition: GraphType, expected: int | None = None) -> GraphTypeRecord:
    """Make or replace the graph type so named.

    Raises:
        InvalidInput: the definition contradicts itself.
        Conflict: it is not at the version *expected*, or a record does not fit the new definition.
    """
    name = checked_key("a graph type's name", definition.name)
    compiled = change.catalogue.compile(definition)
    text = json_text(definition, "the definition")
    connection, now = change.connection, change.now
    row = connection.execute(
        f"select {_COLUMNS} from graph_types where name = ?", (name,)
    ).fetchone()
    if row is None:
        if expected is not None:
            raise missing("graph type", name)
        connection.execute(
            "insert into graph_types values (?, ?, ?, 1, ?, ?)",
            (name, text, digest_of(definition), now, now),
        )
        change.created("types", name, name)
        change.audit("define-type", name, digest=digest_of(definition).hex())
        return GraphTypeRecord(definition, 1, now, now)
    kept = _record(row)
    expect("graph type", name, kept.version, expected)
    if kept.definition == definition:
        return kept
    _refuse_misfits(connection, kept.definition, compiled)
    version = kept.version + 1
    connection.execute(
        "update graph_types set definition = ?, digest = ?, version = ?, updated_at = ? "
        "where name = ?",
        (text, digest_of(definition), version, now, name),
    )
    change.updated("types", name, name, version)
    change.audit("define-type", name, digest=digest_of(definition).hex())
    return GraphTypeRecord(definition, version, kept.created_at, now)


def get(connection: apsw.Connection, name: str) -> GraphTypeRecord:
    """Return the graph type called *name*.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(
        f"select {_COLUMNS} from graph_types where name = ?", (name,)
    ).fetchone()
    if row is None:
        raise missing("graph type", name)
    return _record(row)


def page(connection: apsw.Connection, after: str, limit: int) -> TypePage:
    """Return at most *limit* graph types whose names follow *after*."""
    limit = min(limit, MAX_PAGE)
    rows = connection.execute(
        f"select {_COLUMNS} from graph_types where name > ? order by name limit ?", (after, limit)
    ).fetchall()
    types = tuple(map(_record, rows))
    return TypePage(types, types[-1].definition.name if len(types) == limit else None)


def delete(change: Change, name: str, expected: int | None = None) -> None:
    """Delete the graph type called *name*.

    Raises:
        NotFound: there is none.
        Conflict: it is not at the version *expected*, or a graph is of it.
    """
    version = get(change.connection, name).version
    expect("graph type", name, version, expected)
    user = change.connection.execute(
        "select name from graphs where type = ? limit 1", (name,)
    ).fetchone()
    if user is not None:
        raise Conflict(
            f"the graph type {name!r} is in use, by the graph {user[0]!r} for one: delete its "
            f"graphs first"
        )
    change.connection.execute("delete from graph_types where name = ?", (name,))
    change.deleted("types", name, name, version)
    change.audit("delete-type", name)


def _record(row: tuple[Any, ...]) -> GraphTypeRecord:
    return GraphTypeRecord(msgspec.json.decode(row[0], type=GraphType), *row[1:])


def _refuse_misfits(connection: apsw.Connection, old: GraphType, new: CompiledType) -> None:
    """Refuse a definition that a record of the old one would not fit.

    Raises:
        Conflict: the first such record.
    """
    name = old.name
    definition = new.definition
    changed_nodes = [each.name for each in old.node_types if each not in definition.node_types]
    changed_edges = [each.name for each in old.edge_types if each not in definition.edge_types]
    of_type = (
        "select graphs.name, {table}.* from {table} join graphs on graphs.id = {table}.graph "
        "where graphs.type = ?"
    )
    for kind in changed_nodes:
        nodes = f"{of_type.format(table='nodes')} and nodes.type = ?"
        if kind in new.nodes and (kind in new.sealed or _is_sealed(old, kind)):
            _refuse_sealed(connection, nodes, old, definition, kind)
            continue
        for row in connection.execute(nodes, (name, kind)):
            try:
                new.node_attributes(kind, msgspec.json.decode(row[4]))
            except InvalidInput as error:
                raise _misfit(name, f"node {row[2]!r} of the graph {row[0]!r}", error) from None
    loosened = (
        (definition.multi or not old.multi)
        and (definition.self_loops or not old.self_loops)
        and definition.direction in (old.direction, "mixed")
    )
    if not loosened and _first_edge(connection, name) is not None:
        raise Conflict(
            f"the graph type {name!r} has edges already: `direction`, `multi` and `self_loops` can "
            f"be loosened, not tightened"
        )
    for kind in changed_edges:
        edges = (
            "select graphs.name, edges.key, edges.attributes, a.type, b.type, undirected "
            "from edges join graphs on graphs.id = edges.graph "
            "join nodes a on a.graph = edges.graph and a.key = source "
            "join nodes b on b.graph = edges.graph and b.key = target "
            "where graphs.type = ? and edges.type = ?"
        )
        for graph, key, attributes, source, target, undirected in connection.execute(
            edges, (name, kind)
        ):
            try:
                new.edge_attributes(kind, msgspec.json.decode(attributes))
                new.check_ends(kind, source, target, undirected=bool(undirected))
            except InvalidInput as error:
                raise _misfit(name, f"edge {key!r} of the graph {graph!r}", error) from None


def _refuse_sealed(
    connection: apsw.Connection, nodes: str, old: GraphType, new: GraphType, kind: str
) -> None:
    """Refuse to change what a node type asks of attributes that cannot be read here.

    Raises:
        Conflict: there is such a node.
    """
    before, after = (
        next(each for each in definition.node_types if each.name == kind)
        for definition in (old, new)
    )
    if (before.schema, before.sealed) == (after.schema, after.sealed):
        return
    row = connection.execute(f"{nodes} limit 1", (old.name, kind)).fetchone()
    if row is not None:
        raise Conflict(
            f"the node type {kind!r} of the graph type {old.name!r} is sealed, or is to be, and "
            f"the node {row[2]!r} of the graph {row[0]!r} is of it: `schema` and `sealed` change "
            f"only while there is none; make another node type"
        )


def _is_sealed(definition: GraphType, kind: str) -> bool:
    return any(each.sealed for each in definition.node_types if each.name == kind)


def _first_edge(connection: apsw.Connection, name: str) -> tuple[Any, ...] | None:
    found: tuple[Any, ...] | None = connection.execute(
        "select 1 from edges join graphs on graphs.id = edges.graph where graphs.type = ? limit 1",
        (name,),
    ).fetchone()
    return found


def _misfit(name: str, record: str, error: InvalidInput) -> Conflict:
    return Conflict(
        f"the graph type {name!r} cannot change so, since the {record} is there: {error}"
    )
