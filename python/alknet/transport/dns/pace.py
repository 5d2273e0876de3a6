"""Pace: how long an answer may take, how many are awaited at once, and how often one is asked for.

Who answers may hold a query for `HOLD` seconds until there is something to say: it is shorter than
the time after which resolvers begin to ask again (unbound begins at 0.376 s).
"""

from typing import Final

HOLD: Final = 0.3
# What a session asks a second, and what it may at most.
QUERIES_A_SECOND: Final = 800.0
MOST_A_SECOND: Final = 1000.0
_MOST_AT_ONCE: Final = 16
_LEAST_AT_ONCE: Final = 2
# RFC 6298: the mean and the deviation of what an answer takes, smoothed by these shares.
_MEAN_SHARE: Final = 1 / 8
_DEVIATION_SHARE: Final = 1 / 4
_FIRST_PATIENCE: Final = 0.5
_LEAST_PATIENCE: Final = 0.2
_MOST_PATIENCE: Final = 4.0
# Somebody who has nothing to say asks this often after this time: less and less.
_BUSY_SECONDS: Final = 2.0
_FIRST_PAUSE: Final = 0.1
_MOST_PAUSE: Final = 1.0


class Pace:
    """What one session has seen of the road, and what it does about it. Times are in seconds."""

    def __init__(self, now: float) -> None:
        self._at_once = 4.0
        self._mean: float | None = None
        self._deviation = 0.0
        self._patience = 1.0
        self._slowed_at = now
        self._active_at = now
        self._pause = 0.0

    @property
    def at_once(self) -> int:
        """How many queries may be under way."""
        return int(self._at_once)

    @property
    def timeout(self) -> float:
        """How long an answer may take before it is taken for lost."""
        if self._mean is None:
            usual = _FIRST_PATIENCE
        else:
            usual = self._mean + max(4 * self._deviation, _LEAST_PATIENCE)
        return HOLD + min(usual * self._patience, _MOST_PATIENCE)

    @property
    def pause(self) -> float:
        """How long to wait before asking anew whether there is something to say."""
        return self._pause

    def answered(self, took: float, *, was_held: bool) -> None:
        """Note an answer, and what it took."""
        self._patience = 1.0
        self._at_once = min(self._at_once + 1 / self._at_once, float(_MOST_AT_ONCE))
        if was_held:
            return
        if self._mean is None:
            self._mean, self._deviation = took, took / 2
        else:
            off = abs(took - self._mean)
            self._deviation += _DEVIATION_SHARE * (off - self._deviation)
            self._mean += _MEAN_SHARE * (took - self._mean)

    def lost(self, asked_at: float, now: float) -> None:
        """Note that there was no answer; once for all that were under way at the same time."""
        if asked_at >= self._slowed_at:
            self._slowed_at = now
            self._patience = min(self._patience * 2, _MOST_PATIENCE / _LEAST_PATIENCE)
            self._at_once = max(self._at_once / 2, float(_LEAST_AT_ONCE))

    def moved(self, now: float) -> None:
        """Note that something was said, either way."""
        self._active_at = now
        self._pause = 0.0

    def idled(self, now: float) -> None:
        """Note that an answer had nothing to say."""
        if now - self._active_at > _BUSY_SECONDS:
            self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _MOST_PAUSE)
