"""Deadlines as they travel: Unix milliseconds on the wire, Trio's clock on either side of it."""

import math
import time
from typing import Final

import trio

# The caller's own clock decides whether it was a timeout or the end of a scope of the caller's; the
# far end's only sees to it that nothing goes on in vain, so it may be that much later.
GRACE_MS = 5
# A deadline that no clock reaches can still be written: thirty thousand years.
_LONGEST_MS = 1e15
# When it is, for a clock of a test that begins with 0.
_IMPORTED_AT: Final = time.time()


def wire_deadline(deadline: float) -> int | None:
    """Return a point in Trio's clock as Unix milliseconds; None if it is infinite."""
    if deadline == math.inf:
        return None
    at = (_unix_time() + deadline - trio.current_time()) * 1000 + GRACE_MS
    return int(at if 1.0 <= at <= _LONGEST_MS else min(max(at, 1.0), _LONGEST_MS))


def local_deadline(deadline_ms: int, now: float | None = None) -> float:
    """Return the point in Trio's clock that a peer's Unix milliseconds mean.

    The two machines' clocks are taken to agree; `alknet doctor` says where they do not. *now* is
    Trio's time, for who has just looked.
    """
    return (trio.current_time() if now is None else now) + deadline_ms / 1000 - _unix_time()


def _unix_time() -> float:
    # A clock that can be told to jump is a test's, and the wall's does not go with it: on a busy
    # machine real time would pass between the two ends of a link while the test's stands still.
    if hasattr(trio.lowlevel.current_clock(), "jump"):
        return _IMPORTED_AT + trio.current_time()
    return time.time()
