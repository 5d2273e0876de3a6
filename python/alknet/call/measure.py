"""Measure: what one operation has been asked, how that ended, and how long it took.

To count a call costs it an integer on its way in and one on its way out. To time it costs two looks
at the clock, which is too much for a call within the process: of those, one in `TIMED_EVERY` is
timed, and stands for the others. Every call from a link is timed.
"""

from bisect import bisect_left
from typing import Final

from alknet.errors import CallError

TIMED_EVERY: Final = 16

# Renard's series R10: ten bounds a decade, each about 26 % above the one before, so that what is
# read between two of them is never far off; in seconds, from a microsecond to a quarter of an hour.
_STEPS: Final = ("1", "1.25", "1.6", "2", "2.5", "3.15", "4", "5", "6.3", "8")
BOUNDS: Final = (
    *(float(f"{step}e{decade}") for decade in range(-6, 3) for step in _STEPS),
    1000.0,
)

# The codes of errors come from handlers, and from peers that handlers have asked. One that makes
# up codes as it goes must not fill our memory.
_MOST_CODES: Final = 32
OTHER: Final = "OTHER"


class Measure:
    """The calls of one operation since the node was started.

    `local` and `remote` are the calls that have begun, from this process and from links; `answered`
    those that have had their answer, or the end of their stream, and `errors` the others that are
    over, by the code of their error. A call that its caller gave up counts as ABORTED. `misfits`
    are answers, and items of streams, that were not what the operation promises. `counts`
    holds how many calls took how long: `counts[i]` at most `BOUNDS[i]` seconds and more than the
    bound before, with one place more for those above all bounds; `seconds` is their sum.
    """

    __slots__ = ("answered", "counts", "errors", "local", "misfits", "remote", "seconds")

    def __init__(self) -> None:
        self.local = 0
        self.remote = 0
        self.answered = 0
        self.misfits = 0
        self.errors: dict[str, int] = {}
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    @property
    def calls(self) -> int:
        """How many calls have begun."""
        return self.local + self.remote

    @property
    def in_flight(self) -> int:
        """How many calls have begun and are not over."""
        return self.calls - self.answered - sum(self.errors.values())

    def failed(self, code: str) -> None:
        """Count a call that ended with an error of this *code*."""
        errors = self.errors
        if code not in errors and len(errors) >= _MOST_CODES:
            code = OTHER
        errors[code] = errors.get(code, 0) + 1

    def refused(self, code: str) -> None:
        """Count a call from a link that ended before it began."""
        self.remote += 1
        self.failed(code)

    def ended(self, code: str | None, seconds: float) -> None:
        """Count a call that was over after so many *seconds*: with an error, if there is a code."""
        if code is None:
            self.answered += 1
        else:
            self.failed(code)
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def took(self, seconds: float, calls: int = 1) -> None:
        """Note that a call, which stands for so many *calls*, was over after so many seconds."""
        self.counts[bisect_left(BOUNDS, seconds)] += calls
        self.seconds += seconds * calls

    def quantile(self, fraction: float) -> float | None:
        """Return the seconds that *fraction* of the calls stayed within; None if none was timed.

        It is interpolated between two bounds; above the last bound nothing finer is known.
        """
        timed = sum(self.counts)
        if not timed:
            return None
        rank = fraction * timed
        below, lower = 0, 0.0
        for count, upper in zip(self.counts, BOUNDS, strict=False):
            if count and below + count >= rank:
                return lower + (upper - lower) * (rank - below) / count
            below, lower = below + count, upper
        return BOUNDS[-1]


def code_of(error: BaseException) -> str:
    """Return the code that a call which ended with *error* is counted under.

    What is no error at all, but the end of its task, means that somebody gave the call up.
    """
    if isinstance(error, CallError):
        return error.code
    return "INTERNAL" if isinstance(error, Exception) else "ABORTED"
