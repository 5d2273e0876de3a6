"""Ways through a graph, found by SQLite."""

from typing import Any, Final

import apsw
import msgspec

from alknet.protocol.storage.traversal import (
    Direction,
    Neighbour,
    NeighbourPage,
    Reached,
    Traversal,
)
from alknet.store.catalogue import MAX_PAGE, OpenGraph
from alknet.store.nodes import get

_encode: Final = msgspec.json.Encoder().encode

# Each step over an edge: from the column that holds where we are, to the one that holds where it
# leads. An undirected edge leads both ways whatever was asked.
_OUT: Final = ("source", "target", "")
_IN: Final = ("target", "source", "")
_STEPS: Final[dict[Direction, tuple[tuple[str, str, str], ...]]] = {
    "out": (_OUT, ("target", "source", "and undirected")),
    "in": (_IN, ("source", "target", "and undirected")),
    "both": (_OUT, _IN),
}


def neighbours(
    connection: apsw.Connection,
    graph: OpenGraph,
    key: str,
    direction: Direction,
    type: str | None,
    after: str,
    limit: int,
) -> NeighbourPage:
    """Return what one edge joins with the node at *key*, in the order of the edges' keys.

    Raises:
        NotFound: there is no such node.
    """
    limit = min(limit, MAX_PAGE)
    get(connection, graph, key)
    of_type = "" if type is None else "and type = :type"
    steps = " union ".join(
        f"select {end}, key, type from edges where graph = :graph and {here} = :node "
        f"and key > :after {of_type} {only}"
        for here, end, only in _STEPS[direction]
    )
    rows: list[Any] = connection.execute(
        f"{steps} order by key limit :limit",
        {"graph": graph.id, "node": key, "after": after, "type": type, "limit": limit},
    ).fetchall()
    found = tuple(Neighbour(*row) for row in rows)
    return NeighbourPage(found, found[-1].edge if len(found) == limit else None)


def traverse(
    connection: apsw.Connection,
    graph: OpenGraph,
    start: str,
    direction: Direction,
    types: tuple[str, ...],
    depth: int,
    limit: int,
) -> Traversal:
    """Return what can be reached from *start* over at most *depth* edges; see the request type.

    It goes level by level, each a statement that is asked of all nodes of the level before, so that
    every node is looked at once: SQL's own recursion would go over every way to it.

    Raises:
        NotFound: there is no such node.
    """
    get(connection, graph, start)
    of_types = "and type in (select value from json_each(:types))" if types else ""
    steps = " union ".join(
        f"select {end} from edges join level on {here} = level.key "
        f"where graph = :graph {of_types} {only}"
        for here, end, only in _STEPS[direction]
    )
    ask = f"with level(key) as (select value from json_each(:level)) {steps} order by 1"
    seen = {start}
    reached: list[Reached] = []
    level = [start]
    for distance in range(1, depth + 1):
        found = connection.execute(
            ask,
            {"graph": graph.id, "level": _encode(level).decode(), "types": _encode(types).decode()},
        )
        level = [key for (key,) in found if key not in seen]
        for key in level:
            if len(reached) == limit:
                return Traversal(tuple(reached), is_complete=False)
            reached.append(Reached(key, distance))
        seen.update(level)
        if not level:
            break
    return Traversal(tuple(reached), is_complete=True)
