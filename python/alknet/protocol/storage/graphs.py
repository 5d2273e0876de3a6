"""Graphs: made, found, changed and deleted."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from alknet.protocol.request import Request, operation
from alknet.protocol.storage.types import Key, Limit

Status = Literal["draft", "active", "archived"]


class Graph(msgspec.Struct, frozen=True):
    """A graph; what it holds is asked for apart. `owner` is the id of who made it.

    An archived graph can be read and not changed, until its status is set to another.
    """

    name: str
    type: str
    description: str
    metadata: Mapping[str, Any]
    status: Status
    owner: str | None
    version: int
    created_at: float
    updated_at: float


class GraphPage(msgspec.Struct, frozen=True):
    """Some graphs in the order of their names; `next` continues the list, None at its end."""

    graphs: tuple[Graph, ...]
    next: str | None = None


@operation("storage/create-graph", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class CreateGraph(Request[Graph], frozen=True):
    """Make an empty graph called `name` of the graph type `type`."""

    name: Key
    type: Key
    description: str = ""
    metadata: Mapping[str, Any] = {}
    status: Status = "active"


@operation("storage/get-graph", scopes=("storage:read",))
class GetGraph(Request[Graph], frozen=True):
    """Return the graph called `graph`."""

    graph: Key


@operation("storage/list-graphs", scopes=("storage:read",))
class ListGraphs(Request[GraphPage], frozen=True):
    """List the graphs whose names follow `after`; with `owner`, those that are theirs."""

    after: str = ""
    limit: Limit = 100
    owner: str | None = None


@operation("storage/update-graph", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class UpdateGraph(Request[Graph], frozen=True):
    """Change what is given of the graph called `graph`; None leaves it as it is."""

    graph: Key
    description: str | None = None
    metadata: Mapping[str, Any] | None = None
    status: Status | None = None
    expected_version: int | None = None


@operation("storage/delete-graph", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class DeleteGraph(Request[None], frozen=True):
    """Delete the graph called `graph`, which must be empty unless `cascade` is set.

    One event tells of it; there is none for each of the nodes and edges that go with it.
    """

    graph: Key
    cascade: bool = False
    expected_version: int | None = None
