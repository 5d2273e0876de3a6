"""Whole graphs in and out, a line of JSON a record, and many records in one transaction."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from alknet.protocol.request import Request, Subscription, Upload, operation
from alknet.protocol.storage.graphs import Status
from alknet.protocol.storage.nodes import Sealing
from alknet.protocol.storage.types import GraphType, Key


class TypeLine(msgspec.Struct, frozen=True, tag_field="line", tag="type"):
    """The graph type; first of an export."""

    definition: GraphType


class GraphLine(msgspec.Struct, frozen=True, tag_field="line", tag="graph"):
    """The graph itself, before what it holds; its nodes are sealed under `key_version`, if any."""

    name: Key
    type: Key
    description: str = ""
    metadata: Mapping[str, Any] = {}
    status: Status = "active"
    key_version: Annotated[int, msgspec.Meta(ge=2)] = 2


class NodeLine(msgspec.Struct, frozen=True, tag_field="line", tag="node"):
    """A node; one of a type that is sealed is exported with `sealed` instead of attributes.

    To add such a line the vault opens it at the place that it was exported from and seals it to its
    new one, so it must hold the same seed.
    """

    type: Key
    attributes: Mapping[str, Any] = {}
    key: Key | None = None
    sealed: Sealing | None = None


class EdgeLine(msgspec.Struct, frozen=True, tag_field="line", tag="edge"):
    """An edge, after the nodes that it joins."""

    type: Key
    source: Key
    target: Key
    attributes: Mapping[str, Any] = {}
    key: Key | None = None
    undirected: bool | None = None


Line = TypeLine | GraphLine | NodeLine | EdgeLine


class Counts(msgspec.Struct, frozen=True):
    """How many nodes and edges were added."""

    nodes: int
    edges: int


@operation("storage/add-batch", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class AddBatch(Request[Counts], frozen=True):
    """Add all of `records`, in their order and in one transaction, or none of them.

    The error names the first record that does not fit, in `details["index"]`, counted from 0.
    """

    graph: Key
    records: Annotated[tuple[NodeLine | EdgeLine, ...], msgspec.Meta(max_length=1000)]


@operation("storage/export", scopes=("storage:read",))
class Export(Subscription[Line], frozen=True):
    """Yield the graph: its type, itself, its nodes and its edges, all as of one moment."""

    graph: Key


@operation(
    "storage/import", kind="upload", scopes=("storage:write", "storage:admin"), errors=("CONFLICT",)
)
class Import(Upload[Line, Counts], frozen=True):
    """Make the graph that the lines describe, as `Export` yields them; `name` renames it.

    A graph type that exists must be the same. The graph appears when the last line has arrived; if
    the upload fails or is cancelled, nothing of it is left.
    """

    name: Key | None = None
