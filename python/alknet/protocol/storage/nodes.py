"""Nodes: made, found, changed and deleted."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alknet.protocol.request import Request, operation
from alknet.protocol.storage.types import Key, Limit


class Sealing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The attributes of a node as the vault has sealed them: JSON text, AES-256-GCM.

    `path` is where the key of `key_version` is derived. The rest is as in EncryptedData: standard
    base64 of a salt of 32 bytes, an IV of 12, and the ciphertext with its tag of 16 at the end. The
    associated data is the node's place, which is the JSON array `["alknet/node",graph,key]` without
    spaces: what is sealed opens nowhere else.
    """

    path: str
    key_version: int
    salt: str
    iv: str
    data: str


class Node(msgspec.Struct, frozen=True):
    """A node. `attributes` are JSON values that fit the schema of its type, at most 1 MiB.

    Those of a type that is `sealed` are empty here; `sealed` is what stands in their place, which
    `storage/open-node` opens.
    """

    graph: str
    key: str
    type: str
    attributes: Mapping[str, Any]
    version: int
    created_at: float
    updated_at: float
    sealed: Sealing | None = None


class NodePage(msgspec.Struct, frozen=True):
    """Some nodes in the order of their keys; `next` continues the list, None at its end."""

    nodes: tuple[Node, ...]
    next: str | None = None


@operation("storage/add-node", kind="mutation", scopes=("storage:write",), errors=("CONFLICT",))
class AddNode(Request[Node], frozen=True):
    """Add a node of the node type `type`; without a `key` it gets one that nobody has.

    If its type is sealed, the vault of the caller's tenant seals the attributes, and must be
    unlocked.
    """

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
