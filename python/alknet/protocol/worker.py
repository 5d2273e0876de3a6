"""What a worker says of itself."""

from typing import Annotated

import msgspec

from alknet.protocol.request import Subscription, operation

Interval = Annotated[float, msgspec.Meta(ge=0.05, le=3600)]


class Heartbeat(msgspec.Struct, frozen=True):
    """A worker at one moment, by its own account.

    `time` is its clock in Unix seconds, and `uptime` how many seconds it has been connected or
    running. `load` is how many tasks of its machine wanted a processor over the last minute, of
    which it has `cpus`. `in_flight` is how many calls it is answering, and `memory_bytes` what its
    process holds, None where that cannot be told.
    """

    node: str
    time: float
    uptime: float
    load: float
    cpus: int
    in_flight: int
    memory_bytes: int | None
    version: str


@operation("worker/heartbeat", scopes=("worker:read",))
class Heartbeats(Subscription[Heartbeat], frozen=True):
    """Follow how a worker fares: asked of a worker, every `interval` seconds, the first at once.

    Asked of a head, it tells of all its workers, or of the one called `worker`, as it hears from
    them; `interval` is then the head's own. Who reads slowly misses some, never the newest. A head
    that is a worker itself tells of itself if `worker` is its own name, or `head`.
    """

    interval: Interval = 5.0
    worker: str | None = None
