"""Graphs in the database."""

from collections.abc import Mapping
from typing import Any, Final

import apsw
import msgspec

from alknet.errors import Conflict
from alknet.protocol.storage.graphs import Graph, GraphPage, Status
from alknet.store.catalogue import MAX_PAGE, checked_key, json_text, missing
from alknet.store.change import Change, expect

_COLUMNS: Final = (
    "name, type, description, metadata, status, owner, version, created_at, updated_at"
)


def create(
    change: Change,
    name: str,
    type: str,
    *,
    description: str = "",
    metadata: Mapping[str, Any] | None = None,
    status: Status = "active",
) -> Graph:
    """Make an empty graph.

    Raises:
        NotFound: there is no such graph type.
        Conflict: there is a graph of that name.
    """
    insert(change, name, type, description, metadata, status)
    change.created("graphs", name, type, graph=name)
    change.audit("create-graph", name, type=type)
    return get(change.connection, name)


def insert(
    change: Change,
    name: str,
    type: str,
    description: str,
    metadata: Mapping[str, Any] | None,
    status: str,
) -> int:
    """Make an empty graph that nobody is told of; return its id. Errors are those of `create`."""
    connection = change.connection
    if connection.execute("select 1 from graph_types where name = ?", (type,)).fetchone() is None:
        raise missing("graph type", type)
    checked_key("a graph's name", name)
    text = json_text(metadata or {}, "the metadata")
    try:
        connection.execute(
            "insert into graphs (name, type, description, metadata, status, owner, version, "
            "created_at, updated_at) values (?, ?, ?, ?, ?, ?, 1, ?, ?)",
            (name, type, description, text, status, change.by, change.now, change.now),
        )
    except apsw.ConstraintError:
        raise Conflict(f"there is a graph {name!r} already") from None
    return connection.last_insert_rowid()


def get(connection: apsw.Connection, name: str) -> Graph:
    """Return the graph called *name*.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(
        f"select {_COLUMNS} from graphs where name = ? and status != 'importing'", (name,)
    ).fetchone()
    if row is None:
        raise missing("graph", name)
    return _graph(row)


def page(connection: apsw.Connection, after: str, limit: int, owner: str | None) -> GraphPage:
    """Return at most *limit* graphs whose names follow *after*, of *owner* if it is not None."""
    limit = min(limit, MAX_PAGE)
    of_owner = "" if owner is None else "and owner = ?"
    bindings = (after, limit) if owner is None else (after, owner, limit)
    rows = connection.execute(
        f"select {_COLUMNS} from graphs where name > ? {of_owner} and status != 'importing' "
        f"order by name limit ?",
        bindings,
    ).fetchall()
    graphs = tuple(map(_graph, rows))
    return GraphPage(graphs, graphs[-1].name if len(graphs) == limit else None)


def update(
    change: Change,
    name: str,
    *,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    status: Status | None = None,
    expected: int | None = None,
) -> Graph:
    """Change what is not None of the graph called *name*.

    Raises:
        NotFound: there is none.
        Conflict: it is not at the version *expected*.
    """
    kept = get(change.connection, name)
    expect("graph", name, kept.version, expected)
    text = None if metadata is None else json_text(metadata, "the metadata")
    change.connection.execute(
        "update graphs set description = coalesce(?, description), "
        "metadata = coalesce(?, metadata), status = coalesce(?, status), "
        "version = version + 1, updated_at = ? where name = ?",
        (description, text, status, change.now, name),
    )
    change.updated("graphs", name, kept.type, kept.version + 1, graph=name)
    change.audit("update-graph", name, version=kept.version + 1, status=status or kept.status)
    return get(change.connection, name)


def delete(change: Change, name: str, *, cascade: bool, expected: int | None = None) -> None:
    """Delete the graph called *name*, and with *cascade* all that it holds.

    Raises:
        NotFound: there is none.
        Conflict: it is not at the version *expected*, is archived, or is not empty.
    """
    connection = change.connection
    kept = get(connection, name)
    expect("graph", name, kept.version, expected)
    id = change.graph(name).id
    if not cascade:
        held = connection.execute("select key from nodes where graph = ? limit 1", (id,)).fetchone()
        if held is not None:
            raise Conflict(
                f"the graph {name!r} is not empty, it has the node {held[0]!r} for one: delete it "
                f"with `cascade` if all of it shall go"
            )
    remove(connection, id)
    change.deleted("graphs", name, kept.type, kept.version, graph=name)
    change.audit("delete-graph", name, type=kept.type, cascade=cascade)


def remove(connection: apsw.Connection, id: int) -> None:
    """Delete the graph of that *id* and all that it holds, telling nobody."""
    for statement in (
        "delete from edges where graph = ?",
        "delete from nodes where graph = ?",
        "delete from graphs where id = ?",
    ):
        connection.execute(statement, (id,))


def _graph(row: tuple[Any, ...]) -> Graph:
    name, type, description, metadata, *rest = row
    return Graph(name, type, description, msgspec.json.decode(metadata), *rest)
