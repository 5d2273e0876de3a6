"""Token buckets: a rate that holds in the long run, with some of it at once."""

from collections import OrderedDict
from typing import Final

# So many keys are remembered, 100 bytes or so each. A key that is forgotten has a full bucket
# again, which it would have after a burst's time anyway.
REMEMBERED: Final = 65_536


class Buckets:
    """A bucket for each key: `rate` tokens a second flow into it, up to *burst* seconds' worth.

    A bucket holds one token at least. It is kept as the time at which it will be full again (the
    generic cell rate algorithm), so that a look and a take are one step, and nothing has to be
    filled in the background.
    """

    def __init__(self, rate: float, burst: float, remembered: int = REMEMBERED) -> None:
        self._interval = 1.0 / rate
        self._slack = max(0.0, burst - self._interval)
        self._remembered = remembered
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Take a token of *key*'s and return 0; or return the seconds until there is one."""
        full_at = self._full_at.get(key, now)
        full_at = max(full_at, now)
        wait = full_at - now - self._slack
        # A rounding error is not worth a refusal.
        if wait > self._interval * 1e-9:
            return wait
        self._full_at[key] = full_at + self._interval
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._remembered:
            self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)
