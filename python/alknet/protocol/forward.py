"""What one may ask of a node that forwards connections, and what it bounds them by."""

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
# Why there is no connection, as `details["reason"]` of UNAVAILABLE says it.
Reason = Literal["name-unknown", "refused", "unreachable", "timeout", "cut"]


class ForwardLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [forward] of stack.toml: how long a forwarded connection may take.

    `resolve_seconds` is for the name of a target, and `connect_seconds` for all of its addresses
    together. A connection on which nothing has moved, either way, for `idle_seconds` is closed.
    """

    resolve_seconds: Seconds = 5.0
    connect_seconds: Seconds = 10.0
    idle_seconds: Seconds = 3600.0
