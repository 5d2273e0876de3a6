"""Lockouts: who fails too often to prove who they are is not listened to for a while."""

from collections import OrderedDict

from alknet.quota.bucket import REMEMBERED


class _Record:
    __slots__ = ("failed_at", "failures", "lockouts", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.lockouts = 0
        self.until = 0.0
        self.failed_at = 0.0


class Lockouts:
    """Counts failures by key, and locks a key out at the *attempts*-th since its last success.

    With 0 *attempts* nobody is ever locked out. The first lockout lasts *first* seconds and each
    further one twice as long, up to *longest*; after *longest* seconds without a failure, and
    without a lockout, a key begins anew. Of more keys than are *remembered* the one that failed
    longest ago is forgotten.
    """

    def __init__(
        self, attempts: int, first: float, longest: float, remembered: int = REMEMBERED
    ) -> None:
        self._remembered = remembered
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self.adjust(attempts, first, longest)

    def adjust(self, attempts: int, first: float, longest: float) -> None:
        """Go by other numbers from now on; a lockout that runs goes on, unless *attempts* is 0."""
        self._attempts = attempts
        self._first = first
        self._longest = longest
        if not attempts:
            self._records.clear()

    def remaining(self, key: str, now: float) -> float:
        """Return the seconds for which *key* is locked out still, 0 if it is not."""
        record = self._records.get(key)
        return 0.0 if record is None else max(0.0, record.until - now)

    def failed(self, key: str, now: float) -> float:
        """Count a failure of *key*; return how long the lockout is that it brings, 0 if none."""
        if not self._attempts:
            return 0.0
        record = self._records.get(key)
        if record is None or now - max(record.failed_at, record.until) > self._longest:
            record = self._records[key] = _Record()
        self._records.move_to_end(key)
        if len(self._records) > self._remembered:
            self._records.popitem(last=False)
        record.failures += 1
        record.failed_at = now
        if record.failures < self._attempts:
            return 0.0
        # An exponent without bound would be too large for a float one day.
        seconds = min(self._longest, self._first * 2.0 ** min(record.lockouts, 64))
        record.failures = 0
        record.lockouts += 1
        record.until = now + seconds
        return seconds

    def passed(self, key: str) -> None:
        """Note that *key* has proven who it is: its failures are forgotten, its lockouts not."""
        record = self._records.get(key)
        if record is not None:
            record.failures = 0

    def __len__(self) -> int:
        return len(self._records)
