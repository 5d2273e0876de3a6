"""News: what has been committed, in order, to whoever wants to follow."""

from typing import Literal

import msgspec

from alknet.protocol.request import Request, Subscription, operation
from alknet.protocol.storage.types import Key

StreamName = Literal["types", "graphs", "nodes", "edges"]
# What is told of people is for fewer eyes: `storage/watch-identities`.
IdentityStream = Literal["identities", "rights"]


class StorageEvent(msgspec.Struct, frozen=True):
    """Something has been changed and committed.

    `sequence` grows with every event of the node, whatever its stream. `key` is the name of a type
    or graph, the key of a node or edge, or the id of an identity, and `version` the one that the
    change made, or that was deleted. It says what has changed, not how: ask for the record.
    """

    sequence: int
    stream: StreamName | IdentityStream
    kind: Literal["created", "updated", "deleted"]
    graph: str | None
    key: str
    type: str
    version: int
    at: float


class Acknowledged(msgspec.Struct, frozen=True):
    """Up to which event a consumer has acknowledged its stream."""

    sequence: int


@operation("storage/watch", scopes=("storage:read",), resume=("after", "sequence"))
class Watch(Subscription[StorageEvent], frozen=True):
    """Follow `stream`: yield what follows the event `after`, then what comes; with `graph`, of it.

    Without `after` it begins with what comes; 0 begins with the oldest event that is kept. A client
    that reconnects goes on behind the last event it has read, so that it misses none and, if the
    link broke at the wrong moment, sees one twice at most.
    """

    stream: StreamName
    after: int | None = None
    graph: Key | None = None


@operation("storage/subscribe", scopes=("storage:read",), resume=("after", "sequence"))
class Subscribe(Subscription[StorageEvent], frozen=True):
    """Follow `stream` as `consumer`, from behind what that consumer has acknowledged.

    How far it has come is kept here and outlives both sides; each caller's consumers are its own. A
    consumer that is new begins with the oldest event that is kept. `after`, if it is further on,
    is where to begin instead.
    """

    stream: StreamName
    consumer: Key
    after: int | None = None


@operation("storage/acknowledge", kind="mutation", scopes=("storage:read",), idempotent=True)
class Acknowledge(Request[Acknowledged], frozen=True):
    """Note that `consumer` is done with all events of `stream` up to `sequence`; never backwards.

    Return up to which it is done now.
    """

    stream: StreamName
    consumer: Key
    sequence: int
