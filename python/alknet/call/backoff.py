"""Backoff: pauses that double, with jitter, so that what fell together does not rise together."""

import random

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 10.0


def backoff(failures: int, *, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> float:
    """Return how many seconds to wait after the last of *failures* (1, 2, ...) in a row."""
    # The exponent is bounded before the power is taken: 2.0 ** 2000 is an error, not a large pause.
    pause = min(first * 2.0 ** min(failures - 1, 64), longest)
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 - to spread pauses, not to keep a secret
