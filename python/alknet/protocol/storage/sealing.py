"""Sealed nodes: opened for whoever may, and sealed anew under a later key."""

from typing import Annotated

import msgspec

from alknet.protocol.request import Request, Subscription, operation
from alknet.protocol.storage.nodes import Node
from alknet.protocol.storage.types import Key


class Rotation(msgspec.Struct, frozen=True):
    """How far a rotation is: `done` of `total` nodes are sealed under the key of `to_version`.

    `failed` counts those that could not be opened and are as they were: another tenant's vault
    sealed them, or they have been altered. `failed_keys` are the first of them.
    """

    graph: str
    to_version: int
    done: int
    total: int
    failed: int = 0
    failed_keys: tuple[str, ...] = ()


@operation(
    "storage/open-node",
    kind="mutation",
    scopes=("storage:read", "storage:unseal"),
    idempotent=True,
    confidential=True,
)
class OpenNode(Request[Node], frozen=True):
    """Return the sealed node at `key` with its attributes in clear, opened by the vault."""

    graph: Key
    key: Key


@operation("storage/rotate-graph", scopes=("storage:admin",), errors=("CONFLICT",))
class RotateGraph(Subscription[Rotation], frozen=True):
    """Seal every sealed node of the graph anew, and new ones from now on, under a later key.

    Without `to_version` it is the next one, or, if an earlier rotation has left nodes behind, the
    one that it was to. A part of the nodes at a time is sealed and committed; an item follows each,
    the first before there was any. Whatever ends it, what has been done stays done, and asking
    again goes on with the rest. Each node that is sealed anew is told of as updated.
    """

    graph: Key
    to_version: Annotated[int, msgspec.Meta(ge=2)] | None = None
