"""Whole graphs in and out, and many records in one transaction."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import apsw
import msgspec

from alknet.errors import CallError, Conflict, InvalidInput, NotFound
from alknet.protocol.storage.exchange import (
    Counts,
    EdgeLine,
    GraphLine,
    Line,
    NodeLine,
    TypeLine,
)
from alknet.store import edges, graphs, nodes, types
from alknet.store.catalogue import Catalogue, OpenGraph
from alknet.store.change import Change
from alknet.store.sealing import Plain, Seals, Unsealed, is_current

Stream = Literal["nodes", "edges"]

# How many records are read or written at a time: some milliseconds.
PAGE: Final = 200


def add(change: Change, graph: str, records: Sequence[NodeLine | EdgeLine], seals: Seals) -> Counts:
    """Add all of *records* to the graph called *graph*, and tell of each.

    Raises:
        CallError: what is wrong with the first that cannot be added; `details["index"]` says which.
        Unsealed: some have to be sealed, and *seals* is not what it has to be.
    """
    opened = change.graph(graph)
    added = _insert(change, opened, records, seals)
    for stream, key, type in added:
        change.created(stream, key, type, graph=graph)
    counted = sum(stream == "nodes" for stream, _, _ in added)
    return Counts(nodes=counted, edges=len(added) - counted)


def lines(connection: apsw.Connection, catalogue: Catalogue, name: str) -> Iterator[Line]:
    """Yield the graph called *name*, reading a page at a time.

    Raises:
        NotFound: there is none.
    """
    opened = catalogue.graph(connection, name)
    graph = graphs.get(connection, name)
    yield TypeLine(types.get(connection, graph.type).definition)
    yield GraphLine(
        graph.name,
        graph.type,
        graph.description,
        graph.metadata,
        graph.status,
        opened.key_version,
    )
    after: str | None = ""
    while after is not None:
        some = nodes.page(connection, opened, None, after, PAGE)
        for node in some.nodes:
            yield NodeLine(node.type, node.attributes, node.key, node.sealed)
        after = some.next
    after = ""
    while after is not None:
        page = edges.page(connection, opened, None, after, PAGE)
        for edge in page.edges:
            yield EdgeLine(
                edge.type, edge.source, edge.target, edge.attributes, edge.key, edge.undirected
            )
        after = page.next


def begin_import(change: Change, first: Sequence[Line], name: str | None) -> tuple[int, GraphLine]:
    """Make the graph that the *first* lines of an import describe, hidden as yet; return its id.

    Raises:
        InvalidInput: they are no type and graph.
        Conflict: there is such a graph already, or another type of that name.
    """
    line = first[-1] if first else None
    if not isinstance(line, GraphLine) or any(
        not isinstance(each, TypeLine) for each in first[:-1]
    ):
        raise InvalidInput("an import begins with the line of the graph, or of its type before it")
    for each in first[:-1]:
        assert isinstance(each, TypeLine)
        _same_type(change, each)
    line = msgspec.structs.replace(line, name=name or line.name)
    id = graphs.insert(change, line.name, line.type, line.description, line.metadata, "importing")
    change.connection.execute(
        "update graphs set key_version = ? where id = ?", (line.key_version, id)
    )
    return id, line


def continue_import(
    change: Change, id: int, line: GraphLine, records: Sequence[Line], seals: Seals
) -> Counts:
    """Add *records* to the graph that is being imported; nobody is told of them yet.

    Raises:
        CallError: what is wrong with the first that cannot be added.
        Unsealed: some have to be sealed, and *seals* is not what it has to be.
    """
    definition = types.get(change.connection, line.type).definition
    compiled = change.catalogue.compile(definition)
    opened = OpenGraph(id, line.name, line.status, line.key_version, compiled)
    added = _insert(change, opened, records, seals)
    counted = sum(stream == "nodes" for stream, _, _ in added)
    return Counts(nodes=counted, edges=len(added) - counted)


def end_import(change: Change, id: int, line: GraphLine) -> None:
    """Let the graph be seen, and tell of it with one event."""
    change.connection.execute("update graphs set status = ? where id = ?", (line.status, id))
    change.created("graphs", line.name, line.type, graph=line.name)
    change.audit("import-graph", line.name, type=line.type)


def forget_imports(connection: apsw.Connection, id: int | None = None) -> None:
    """Delete what an import that came to no end has left: that of *id*, or all that there are."""
    unfinished: list[tuple[Any, ...]] = connection.execute(
        "select id from graphs where status = 'importing' and (?1 is null or id = ?1)", (id,)
    ).fetchall()
    for row in unfinished:
        graphs.remove(connection, row[0])


def _same_type(change: Change, line: TypeLine) -> None:
    """Define the type of an import, unless it is there.

    Raises:
        Conflict: there is another of that name.
    """
    try:
        kept = types.get(change.connection, line.definition.name)
    except NotFound:
        types.define(change, line.definition)
        return
    if kept.definition != line.definition:
        raise Conflict(
            f"there is another graph type {line.definition.name!r} here than the one that is "
            f"imported: make them the same, or leave out the line of the type"
        )


def _insert(
    change: Change, graph: OpenGraph, records: Sequence[Line], seals: Seals
) -> list[tuple[Stream, str, str]]:
    """Add *records*; return the stream, key and type of each."""
    if graph.type.sealed:
        _refuse_unsealed(change, graph, records, seals)
    added: list[tuple[Stream, str, str]] = []
    for index, record in enumerate(records):
        try:
            if isinstance(record, NodeLine):
                if record.sealed is not None and record.type not in graph.type.sealed:
                    raise InvalidInput(
                        f"this line holds sealed attributes, and the node type {record.type!r} of "
                        f"the graph type {graph.type.definition.name!r} is not sealed: they would "
                        f"be kept in clear"
                    )
                key = nodes.insert(
                    change, graph, record.type, record.attributes, record.key, seals.get(index)
                )
                added.append(("nodes", key, record.type))
            elif isinstance(record, EdgeLine):
                key = edges.insert(
                    change,
                    graph,
                    record.type,
                    record.source,
                    record.target,
                    record.attributes,
                    record.key,
                    record.undirected,
                )
                added.append(("edges", key, record.type))
            else:
                raise InvalidInput("after the graph's own line come nodes and edges")
        except CallError as error:
            error.details = {**(error.details or {}), "index": index}
            raise
    return added


def _refuse_unsealed(
    change: Change, graph: OpenGraph, records: Sequence[Line], seals: Seals
) -> None:
    """Find all that has to be sealed at once, so that it need not be asked for one by one.

    Raises:
        Unsealed: there are such nodes.
        CallError: what is wrong with the first of them.
    """
    plain: dict[int, Plain] = {}
    is_sealed = True
    for index, record in enumerate(records):
        if not isinstance(record, NodeLine) or record.type not in graph.type.sealed:
            continue
        is_sealed = is_sealed and is_current(graph, seals.get(index))
        try:
            plain[index] = nodes.plain(change, graph, record.type, record.attributes, record.key)
        except CallError as error:
            error.details = {**(error.details or {}), "index": index}
            raise
    if not is_sealed:
        raise Unsealed(plain)
