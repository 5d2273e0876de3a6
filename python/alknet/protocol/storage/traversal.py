"""Ways through a graph: the neighbours of a node, and all that can be reached from it."""

from typing import Annotated, Literal

import msgspec

from alknet.protocol.request import Request, operation
from alknet.protocol.storage.types import Key, Limit

Direction = Literal["out", "in", "both"]


class Neighbour(msgspec.Struct, frozen=True):
    """A node and the edge that leads to it."""

    node: str
    edge: str
    type: str


class NeighbourPage(msgspec.Struct, frozen=True):
    """Some neighbours in the order of the edges' keys; `next` continues, None at the end."""

    neighbours: tuple[Neighbour, ...]
    next: str | None = None


class Reached(msgspec.Struct, frozen=True):
    """A node, and over how many edges it is reached on the shortest way."""

    node: str
    depth: int


class Traversal(msgspec.Struct, frozen=True):
    """What was reached, the nearest first, then in the order of the keys.

    `is_complete` is false when there is more than was asked for.
    """

    reached: tuple[Reached, ...]
    is_complete: bool


@operation("storage/list-neighbours", scopes=("storage:read",))
class ListNeighbours(Request[NeighbourPage], frozen=True):
    """List what one edge joins with the node at `key`.

    `direction` follows directed edges as said; undirected ones lead both ways. `after` is the key
    of an edge.
    """

    graph: Key
    key: Key
    direction: Direction = "both"
    type: Key | None = None
    after: str = ""
    limit: Limit = 100


@operation("storage/traverse", scopes=("storage:read",))
class Traverse(Request[Traversal], frozen=True):
    """Return what can be reached from the node at `start` over at most `depth` edges.

    `types` restricts the edges that are followed; none means any. The start itself is not in it.
    """

    graph: Key
    start: Key
    direction: Direction = "out"
    types: tuple[Key, ...] = ()
    depth: Annotated[int, msgspec.Meta(ge=1, le=64)] = 3
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1_000
