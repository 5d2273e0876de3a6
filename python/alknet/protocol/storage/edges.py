"""Edges: made, found, changed and deleted."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alknet.protocol.request import Request, operation
from alknet.protocol.storage.types import Key, Limit


class Edge(msgspec.Struct, frozen=True):
    """An edge. An undirected one has the smaller of its ends' keys as `source`."""

    graph: str
    key: str
    type: str
    source: str
    target: str
    undirected: bool
    attributes: Mapping[str, Any]
    version: int
    created_at: float
    updated_at: float


class EdgePage(msgspec.Struct, frozen=True):
    """Some edges in the order of their keys; `next` continues the list, None at its end."""

    edges: tuple[Edge, ...]
    next: str | None = None


@operation("storage/add-edge", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class AddEdge(Request[Edge], frozen=True):
    """Join the nodes `source` and `target` with an edge of the edge type `type`.

    `undirected` is asked only of a mixed graph, where None means directed. Without a `key` the edge
    gets one that nobody has.
    """

    graph: Key
    type: Key
    source: Key
    target: Key
    attributes: Mapping[str, Any] = {}
    key: Key | None = None
    undirected: bool | None = None


@operation("storage/get-edge", scopes=("storage:read",))
class GetEdge(Request[Edge], frozen=True):
    """Return the edge at `key`."""

    graph: Key
    key: Key


@operation("storage/list-edges", scopes=("storage:read",))
class ListEdges(Request[EdgePage], frozen=True):
    """List the edges whose keys follow `after`; with `type`, those of that type."""

    graph: Key
    type: Key | None = None
    after: str = ""
    limit: Limit = 100


@operation("storage/update-edge", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class UpdateEdge(Request[Edge], frozen=True):
    """Put `attributes` in the place of those of the edge at `key`; its ends stay."""

    graph: Key
    key: Key
    attributes: Mapping[str, Any]
    expected_version: int | None = None


@operation("storage/delete-edge", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class DeleteEdge(Request[None], frozen=True):
    """Delete the edge at `key`."""

    graph: Key
    key: Key
    expected_version: int | None = None
