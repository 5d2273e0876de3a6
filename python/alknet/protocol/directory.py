"""What one may ask of the directory: which operations there are, and who is connected."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alknet.identity import AccessRule
from alknet.protocol.error import ErrorSpec
from alknet.protocol.request import Kind, Request, Visibility, operation
from alknet.protocol.worker import Heartbeat


class OperationSummary(msgspec.Struct, frozen=True):
    """One line of the list; `name` is what follows `/{node}/` in a call."""

    name: str
    namespace: str
    kind: Kind
    description: str
    confidential: bool = False


class Offer(OperationSummary, frozen=True):
    """An operation that a peer answers, and what it asks of its callers there."""

    access: AccessRule = AccessRule()


class OperationSchema(msgspec.Struct, frozen=True):
    """Everything a caller needs to know; the schemas are JSON Schema 2020-12.

    `output_schema` is of the answer, or of each item of a stream; `item_schema` of each item that
    the caller of an upload or a duplex sends. `resource_id` is the JSON Pointer (RFC 6901) to the
    id in the input that the rule's resource goes by.
    """

    name: str
    namespace: str
    version: str
    kind: Kind
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    errors: tuple[ErrorSpec, ...]
    access: AccessRule
    idempotent: bool
    confidential: bool
    item_schema: Mapping[str, Any] | None = None
    visibility: Visibility = "external"
    resource_id: str | None = None


class OperationList(msgspec.Struct, frozen=True):
    """The operations that the caller may call."""

    operations: tuple[OperationSummary, ...]


class PeerSummary(msgspec.Struct, frozen=True):
    """A connected peer and the operations it has registered that the caller may call.

    `heartbeat` is what it has said last of itself, if it is a worker that does, and `heard_at` when
    this node heard it, in Unix seconds.
    """

    peer_id: str
    operations: tuple[str, ...]
    heartbeat: Heartbeat | None = None
    heard_at: float | None = None


class HeadSummary(msgspec.Struct, frozen=True):
    """A node that this one has joined, to be called through it, and how to get to it.

    `node` is what it calls itself, None if it was never reached, and `why_away` says why there is
    no link to it now, None if there is one.
    """

    urls: tuple[str, ...]
    node: str | None
    why_away: str | None


class PeerList(msgspec.Struct, frozen=True):
    """The peers that are connected now, and the `heads` that this node works for."""

    peers: tuple[PeerSummary, ...]
    heads: tuple[HeadSummary, ...] = ()


class Pong(msgspec.Struct, frozen=True):
    """The answer to a ping: who answers, and its clock in seconds since the Unix epoch."""

    node: str
    time: float


class Registered(msgspec.Struct, frozen=True):
    """Under which name the caller's operations can be called from now on: `/{node}/...`."""

    node: str
    operations: int


@operation("services/list")
class ListOperations(Request[OperationList], frozen=True):
    """List the operations of this node that the caller may call."""


@operation("services/schema")
class Schema(Request[OperationSchema], frozen=True):
    """Describe the operation called `name`, if the caller may call it.

    The paths that it can be called by will do, too.
    """

    name: str


@operation("services/peers", scopes=("services:peers",))
class ListPeers(Request[PeerList], frozen=True):
    """List the connected peers and, of what they have registered, what the caller may call.

    Whether he may where a rule is about a resource, the peer alone can tell: that is listed.
    """


@operation("services/ping")
class Ping(Request[Pong], frozen=True):
    """Answer at once."""


@operation("services/register", kind="mutation", scopes=("services:register",), idempotent=True)
class Register(Request[Registered], frozen=True):
    """Offer the caller's own `operations` to this node, over the link that this call came by.

    They are gone when the link is; registering again replaces the list. Their `access` tells whom
    to show them to; it is the caller of this that holds whoever calls them to it.
    """

    operations: tuple[Offer, ...]
