"""Rotation: the sealed nodes of a graph, a page at a time, from older keys to a later one.

What is left to do is what is sealed under another key than the graph's, so a rotation that was
ended by anything goes on by being begun again.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import apsw

from alknet.errors import Conflict, InvalidInput
from alknet.protocol.storage.nodes import Sealing
from alknet.store.catalogue import OpenGraph
from alknet.store.change import Change
from alknet.store.sealing import from_text, to_text

# So many are sealed and committed at a time: some milliseconds.
PAGE: Final = 200

_LEFT: Final = "from nodes where graph = ? and key_version is not null and key_version != ?"


class Aged(NamedTuple):
    """A node that is sealed under an older key; `text` is what stands in the database."""

    key: str
    text: str

    @property
    def sealing(self) -> Sealing:
        """What it holds."""
        return from_text(self.text)


class Begun(NamedTuple):
    """A rotation that has begun: to which key, how many nodes there are, how many are left."""

    to_version: int
    total: int
    left: int


def begin(change: Change, name: str, to_version: int | None) -> Begun:
    """Have what is added to the graph called *name* sealed under *to_version* from now on.

    None is the version of a rotation that is not finished, or else the next.

    Raises:
        NotFound: there is no such graph.
        InvalidInput: *to_version* is older than what is in use.
        Conflict: the graph is archived.
    """
    graph = change.graph(name)
    connection = change.connection
    left = _left(connection, graph.id, graph.key_version)
    if to_version is None:
        to_version = graph.key_version if left else graph.key_version + 1
    if to_version < graph.key_version:
        raise InvalidInput(
            f"the graph {name!r} is sealed under key version {graph.key_version}: a rotation goes "
            f"to a later one, not back to {to_version}",
            details={"field": "to_version"},
        )
    if to_version > graph.key_version:
        connection.execute(
            "update graphs set key_version = ?, version = version + 1, updated_at = ? where id = ?",
            (to_version, change.now, graph.id),
        )
        version: Any = connection.execute(
            "select version from graphs where id = ?", (graph.id,)
        ).get
        change.updated("graphs", name, graph.type.definition.name, version, graph=name)
        change.audit("rotate-graph", name, to_version=to_version)
        left = _left(connection, graph.id, to_version)
    total: Any = connection.execute(
        "select count(*) from nodes where graph = ? and key_version is not null", (graph.id,)
    ).get
    return Begun(to_version, total, left)


def page(connection: apsw.Connection, graph: OpenGraph, to_version: int, after: str) -> list[Aged]:
    """Return the next nodes behind *after* that are sealed under another key than *to_version*."""
    rows: list[Any] = connection.execute(
        f"select key, attributes {_LEFT} and key > ? order by key limit ?",
        (graph.id, to_version, after, PAGE),
    ).fetchall()
    return [Aged(*row) for row in rows]


def put(
    change: Change, name: str, to_version: int, resealed: Sequence[tuple[Aged, Sealing]]
) -> int:
    """Put new sealings in the place of those that are still as they were; return how many are.

    Raises:
        NotFound: the graph is gone.
        Conflict: another rotation, to a later key, has begun meanwhile, or the graph is archived.
    """
    graph = change.graph(name)
    if graph.key_version != to_version:
        raise Conflict(
            f"the graph {name!r} is being sealed under key version {graph.key_version} by now, by "
            f"a later rotation: this one, to {to_version}, ends"
        )
    done = 0
    for aged, sealing in resealed:
        row: Any = change.connection.execute(
            "update nodes set attributes = ?, key_version = ?, version = version + 1, "
            "updated_at = ? where graph = ? and key = ? and attributes = ? returning type, version",
            (to_text(sealing), to_version, change.now, graph.id, aged.key, aged.text),
        ).fetchall()
        if row:
            change.updated("nodes", aged.key, *row[0], graph=name)
            done += 1
    return done


def _left(connection: apsw.Connection, graph: int, version: int) -> int:
    count: Any = connection.execute(f"select count(*) {_LEFT}", (graph, version)).get
    return int(count)
