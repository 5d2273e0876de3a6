"""Shares of a phrase that were given, until there are enough or their time is over."""

from typing import Final

import structlog
import trio

from alknet.errors import BadShare, InvalidInput
from alknet.keys import ShareSet

log = structlog.get_logger("alknet.secrets")

# Putting shares together at this exponent takes a quarter of a second; at 15, a minute and more of
# a processor, which nobody who has a share may ask for.
_MOST_EXPONENT: Final = 7


class _Gathered:
    __slots__ = ("shares", "until")

    def __init__(self, until: float) -> None:
        self.shares = ShareSet()
        self.until = until


class Gathering:
    """Holds shares for each tenant, for *seconds* after the first; they are wiped then."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._gathered: dict[str, _Gathered] = {}
        self._begun = trio.Event()

    def give(self, tenant: str, share: str) -> ShareSet:
        """Take *share* in, and return it with the others that were given for *tenant*.

        Raises:
            BadShare: it is none, or does not fit the others; these stay.
            InvalidInput: to put shares like it together would keep the node busy for too long.
        """
        self._wipe_old()
        found = self._gathered.get(tenant)
        gathered = found or _Gathered(trio.current_time() + self._seconds)
        try:
            gathered.shares.add(share)
        except BadShare as error:
            if found is None:
                raise
            raise BadShare(
                f"{error.message} ({found.shares.given} given before; `alknet lock` drops them)",
                details=error.details,
            ) from None
        exponent = gathered.shares.iteration_exponent or 0
        if exponent > _MOST_EXPONENT:
            gathered.shares.clear()
            raise InvalidInput(
                f"these shares cost 10000 * 2**{exponent} rounds of PBKDF2 to put together, and "
                f"2**{_MOST_EXPONENT} is the most here: combine them elsewhere (alknet shares "
                f"combine), and unlock with the phrase"
            )
        self._gathered[tenant] = gathered
        self._begun.set()
        return gathered.shares

    def waiting(self, tenant: str) -> tuple[int, int]:
        """Return how many shares were given for *tenant*, and how many are missing."""
        self._wipe_old()
        found = self._gathered.get(tenant)
        return (0, 0) if found is None else (found.shares.given, found.shares.missing or 0)

    def drop(self, tenant: str) -> None:
        """Wipe what was given for *tenant*."""
        found = self._gathered.pop(tenant, None)
        if found is not None:
            found.shares.clear()

    def close(self) -> None:
        """Wipe everything."""
        for tenant in list(self._gathered):
            self.drop(tenant)

    async def wipe_in_time(self) -> None:
        """Wipe what has waited too long, until cancelled."""
        while True:
            self._wipe_old()
            if self._gathered:
                await trio.sleep_until(min(each.until for each in self._gathered.values()))
            else:
                self._begun = trio.Event()
                await self._begun.wait()

    def _wipe_old(self) -> None:
        now = trio.current_time()
        for tenant, each in list(self._gathered.items()):
            if each.until <= now:
                log.warning("shares dropped: their time is over", given=each.shares.given)
                self.drop(tenant)
