"""Every limit of the wire, with its unit and its reason."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
KIB = 1024
MIB = 1024 * KIB


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one link may ask of this node.

    `frame_bytes`: one envelope; large enough for any record, small enough to hold many of.
    `depth`: nesting of a payload; deeper ones are attacks or mistakes.
    `calls_in_flight`: unanswered calls of one peer; above it a call is refused, not queued.
    `unsent_bytes`: answers that a peer has asked for and does not read; above it the link is cut.
    `handshake_seconds`: from the connection to the proof of who it is.
    `silence_seconds`: a peer of which nothing was heard for so long is gone; the link is cut.
    `stalled_seconds`: a consumer that has made no room for so long loses its subscription.
    """

    frame_bytes: Count = 16 * MIB
    depth: Count = 64
    calls_in_flight: Count = 1024
    unsent_bytes: Count = 64 * MIB
    handshake_seconds: Seconds = 10.0
    silence_seconds: Seconds = 45.0
    stalled_seconds: Seconds = 120.0


DEFAULT_LIMITS = Limits()

# How many nodes may pass a call on; beyond it they are taken to do so in a circle.
MOST_HOPS = 4

# Producers of streams pause while this much waits to be sent: two socket buffers' worth keeps a
# fast link busy, and a thousand stalled consumers stay within memory.
UNSENT_PAUSE_BYTES = 256 * KIB
