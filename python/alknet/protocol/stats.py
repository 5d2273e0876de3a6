"""What one may ask of a node about itself: how its calls, its services and its links fare."""

from typing import Literal

import msgspec

from alknet.protocol.request import Request, operation

State = Literal["serving", "draining", "down"]


class OperationStats(msgspec.Struct, frozen=True):
    """The calls of one operation since the node was started.

    `errors` counts the calls that ended without an answer, by the code of their error; one that its
    caller gave up, or a stream that its reader left, counts as ABORTED. `p50` and `p99` are how
    many seconds half of the calls, and 99 in 100 of them, stayed within; None if none was timed. A
    stream's time is until its end. `misfits` are answers and items that were not what the operation
    promises.
    """

    name: str
    calls: int
    answered: int
    errors: dict[str, int]
    in_flight: int
    p50: float | None
    p99: float | None
    misfits: int = 0


class ServiceStats(msgspec.Struct, frozen=True):
    """One service: `down` is one that is starting, has ended, or waits for its restart.

    `waiting` calls are in its mailbox. `busy` is how many seconds the handler that keeps others
    waiting has run, within a second or so; 0 if there is none.
    """

    name: str
    state: State
    waiting: int
    restarts: int
    busy: float


class LinkStats(msgspec.Struct, frozen=True):
    """One link to a peer: the calls in flight that we `asked` and that we are `answering`."""

    peer: str
    address: str
    asked: int
    answering: int
    unsent_bytes: int


class NodeStats(msgspec.Struct, frozen=True):
    """A node at one moment; operations and links in order of name, services in order of start."""

    node: str
    operations: tuple[OperationStats, ...]
    services: tuple[ServiceStats, ...]
    links: tuple[LinkStats, ...]


@operation("services/stats", scopes=("services:stats",))
class Stats(Request[NodeStats], frozen=True):
    """Tell how the node's operations, internal ones too, its services and its links fare.

    Every call from a link is timed, and of those from within the node one in sixteen, which stands
    for the others.
    """


@operation("services/metrics", scopes=("services:stats",))
class Metrics(Request[str], frozen=True):
    """Return what `services/stats` tells, and more, as Prometheus reads it (text format 0.0.4).

    The node has no HTTP server for it. Let a collector, such as node_exporter's textfile, have
    `alknet call /head/services/metrics | jq -r .`, every so often.
    """
