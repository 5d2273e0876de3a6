"""Refusals: how often a peer was refused of late, and how long it is to wait for that."""

from typing import Final

import trio

# So many are answered at once in any second, as those of an honest peer that has lost its way are;
# each beyond them costs the peer a pause, so that who asks in vain on purpose costs the others
# little.
_FREE_A_SECOND: Final = 64
_PAUSE_SECONDS: Final = 0.0005


class Refusals:
    """Counts what one link was refused; its reader asks for the `pause` that is due."""

    __slots__ = ("_count", "_owed", "_since")

    def __init__(self) -> None:
        self._count = 0
        self._since = 0.0
        self._owed = 0

    def __bool__(self) -> bool:
        """Whether a pause is due."""
        return self._owed > 0

    def note(self) -> None:
        """Count one more."""
        now = trio.current_time()
        if now - self._since > 1:
            self._since, self._count = now, 0
        self._count += 1
        if self._count > _FREE_A_SECOND:
            self._owed += 1

    async def pause(self) -> None:
        """Wait for as long as is due, which is then forgotten."""
        owed, self._owed = self._owed, 0
        await trio.sleep(owed * _PAUSE_SECONDS)
