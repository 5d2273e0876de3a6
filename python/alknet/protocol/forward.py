"""What one may ask of a node that forwards connections, and what it bounds them by."""

from typing import Annotated, Final, Literal

import msgspec

from alknet.protocol.request import Duplex, operation

Seconds = Annotated[float, msgspec.Meta(gt=0)]
# Why there is no connection, as `details["reason"]` of UNAVAILABLE says it.
Reason = Literal["name-unknown", "refused", "unreachable", "timeout", "cut"]

# A handler has at most 64 items unread, so that a target that does not read costs 4 MiB.
CHUNK_BYTES: Final = 64 * 1024
Chunk = Annotated[bytes, msgspec.Meta(max_length=CHUNK_BYTES)]


class ForwardLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [forward] of stack.toml: how long a forwarded connection may take.

    `resolve_seconds` is for the name of a target, and `connect_seconds` for all of its addresses
    together. A connection on which nothing has moved, either way, for `idle_seconds` is closed.
    """

    resolve_seconds: Seconds = 5.0
    connect_seconds: Seconds = 10.0
    idle_seconds: Seconds = 3600.0


class Opened(msgspec.Struct, frozen=True):
    """There is a connection, to `address` at `port`."""

    address: str
    port: int


@operation("forward/open", scopes=("forward:open",))
class OpenForward(Duplex[Chunk, Opened | bytes], frozen=True):
    """Connect the caller to `host` at `port`, as far as the node's forwarding policy allows.

    A name is resolved by the node. The first item that comes says that there is a connection; those
    behind it are what the target sends, and an empty one says that it sends no more. The items of
    the caller are sent to the target, and their end is passed on; the other direction goes on. The
    stream completes when both directions have ended. Where there is no connection, or no more,
    UNAVAILABLE says why in `details`, as `reason`; FORBIDDEN names the rule of the policy.
    """

    host: str
    port: int
