"""Graph types: what the graphs of a type may hold."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from alknet.protocol.request import Request, operation

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class NodeType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of node; its attributes must fit `schema`, a JSON Schema (2020-12) of an object.

    The schema stands alone: it refers to nothing outside itself. Its patterns are matched in time
    that grows with the text alone, so they have no look-around and no back-references.

    With `sealed` the attributes are kept as the vault seals them, each node's to its own place.
    """

    name: Key
    schema: Mapping[str, Any] = {}
    description: str = ""
    sealed: bool = False


class EdgeType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of edge, and which kinds of node it may join; none listed means any.

    `schema` is for its attributes, as with a node type. An undirected edge may join a source with a
    target in either order.
    """

    name: Key
    sources: tuple[Key, ...] = ()
    targets: tuple[Key, ...] = ()
    schema: Mapping[str, Any] = {}
    description: str = ""


class GraphType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a graph of this type may hold.

    In a "mixed" graph each edge says which it is. Without `multi` there is at most one edge of a
    type from one node to another, and an undirected one counts for both directions. Without
    `self_loops` no edge joins a node with itself.
    """

    name: Key
    node_types: tuple[NodeType, ...]
    edge_types: tuple[EdgeType, ...] = ()
    direction: Literal["directed", "undirected", "mixed"] = "directed"
    multi: bool = False
    self_loops: bool = False
    description: str = ""


class GraphTypeRecord(msgspec.Struct, frozen=True):
    """A graph type as it is kept."""

    definition: GraphType
    version: int
    created_at: float
    updated_at: float


class TypePage(msgspec.Struct, frozen=True):
    """Some graph types in the order of their names; `next` continues the list, None at its end."""

    types: tuple[GraphTypeRecord, ...]
    next: str | None = None


@operation("storage/define-type", kind="mutation", scopes=("storage:admin",), errors=("CONFLICT",))
class DefineType(Request[GraphTypeRecord], frozen=True):
    """Make the graph type that `definition` describes, or put it in the place of the one so named.

    What is there already must fit: the new definition is refused if a node or edge of any graph of
    the type would not be allowed by it. That takes a look at every node and edge whose type has
    changed. Of what is sealed it cannot be told, so the schema of a node type that seals, and
    whether it does, change only while there is no node of it.
    """

    definition: GraphType
    expected_version: int | None = None


@operation("storage/get-type", scopes=("storage:read",))
class GetType(Request[GraphTypeRecord], frozen=True):
    """Return the graph type called `name`."""

    name: Key


@operation("storage/list-types", scopes=("storage:read",))
class ListTypes(Request[TypePage], frozen=True):
    """List the graph types whose names follow `after`."""

    after: str = ""
    limit: Limit = 100


@operation("storage/delete-type", kind="mutation", scopes=("storage:admin",), errors=("CONFLICT",))
class DeleteType(Request[None], frozen=True):
    """Delete the graph type called `name`, which no graph may be of."""

    name: Key
    expected_version: int | None = None
