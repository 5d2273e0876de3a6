"""Deadlines as they travel: Unix milliseconds on the wire, Trio's clock on either side of it."""

import math
import time

import trio

# The caller's own clock decides whether it was a timeout or the end of a scope of the caller's; the
# far end's only sees to it that nothing goes on in vain, so it may be that much later.
GRACE_MS = 5
# A deadline that no clock reaches can still be written: thirty thousand years.
_LONGEST_MS = 1e15


def wire_deadline(deadline: float) -> int | None:
    """Return a point in Trio's clock as Unix milliseconds; None if it is infinite."""
    if deadline == math.inf:
        return None
    at = (time.time() + deadline - trio.current_time()) * 1000 + GRACE_MS
    return int(at if 1.0 <= at <= _LONGEST_MS else min(max(at, 1.0), _LONGEST_MS))


def local_deadline(deadline_ms: int, now: float | None = None) -> float:
    """Return the point in Trio's clock that a peer's Unix milliseconds mean.

    The two machines' clocks are taken to agree; `alknet doctor` says where they do not. *now* is
    Trio's time, for who has just looked.
    """
    return (trio.current_time() if now is None else now) + deadline_ms / 1000 - time.time()
