"""Nodes: made, found, changed and deleted."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alknet.protocol.request import Request, operation
from alknet.protocol.storage.types import Key, Limit


class Node(msgspec.Struct, frozen=True):
    """A node. `attributes` are JSON values that fit the schema of its type, at most 1 MiB."""

    graph: str
    key: str
    type: str
    attributes: Mapping[str, Any]
    version: int
    created_at: float
    updated_at: float


class NodePage(msgspec.Struct, frozen=True):
    """Some nodes in the order of their keys; `next` continues the list, None at its end."""

    nodes: tuple[Node, ...]
    next: str | None = None


@operation("storage/add-node", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class AddNode(Request[Node], frozen=True):
    """Add a node of the node type `type`; without a `key` it gets one that nobody has."""

    graph: Key
    type: Key
    attributes: Mapping[str, Any] = {}
    key: Key | None = None


@operation("storage/get-node", scopes=("storage:read",))
class GetNode(Request[Node], frozen=True):
    """Return the node at `key`."""

    graph: Key
    key: Key


@operation("storage/list-nodes", scopes=("storage:read",))
class ListNodes(Request[NodePage], frozen=True):
    """List the nodes whose keys follow `after`; with `type`, those of that type."""

    graph: Key
    type: Key | None = None
    after: str = ""
    limit: Limit = 100


@operation("storage/update-node", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class UpdateNode(Request[Node], frozen=True):
    """Put `attributes` in the place of those of the node at `key`."""

    graph: Key
    key: Key
    attributes: Mapping[str, Any]
    expected_version: int | None = None


@operation("storage/delete-node", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class DeleteNode(Request[None], frozen=True):
    """Delete the node at `key`, which no edge may join unless `cascade` is set: they go with it.

    There is an event for each edge that goes, before that of the node.
    """

    graph: Key
    key: Key
    cascade: bool = False
    expected_version: int | None = None
