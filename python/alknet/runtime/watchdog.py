"""Watchdog: says which handler keeps its service from everybody else for too long."""

from collections.abc import Iterable
from typing import Final

import structlog
import trio

from alknet.call.invocation import Invocation
from alknet.runtime.workload import Workload

log = structlog.get_logger("alknet.watchdog")

# How often it looks within the time that is too long: a handler is reported at most that much late.
_LOOKS: Final = 4


class _Sight:
    """A call that a service was seen at, and since when."""

    def __init__(self, call: Invocation, since: float) -> None:
        self.call = call
        self.since = since
        self.is_reported = False


class Watchdog:
    """Looks at *works* every now and then, and remembers at which call it saw each.

    A call pays nothing for it. One that holds its service for *slow* seconds is reported in the
    log, once; so is a process that did not get to run anything for as long, whoever it was that did
    not let it. With 0 seconds nothing is watched.
    """

    def __init__(self, works: Iterable[Workload], slow: float) -> None:
        self._works = tuple(works)
        self._slow = slow
        self._seen: dict[Workload, _Sight] = {}

    def busy(self, work: Workload) -> float:
        """Return the seconds for which *work* has been seen at its present call; 0 if at none."""
        sight = self._seen.get(work)
        if sight is None or sight.call is not work.current:
            return 0.0
        return trio.current_time() - sight.since

    async def run(self) -> None:
        """Watch until cancelled."""
        if not (self._slow and self._works):
            return
        pause = self._slow / _LOOKS
        while True:
            due = trio.current_time() + pause
            await trio.sleep_until(due)
            now = trio.current_time()
            if now - due >= self._slow:
                # A handler that computes, or waits without telling Trio, stops everything else.
                log.warning("nothing ran for a while", seconds=round(now - due, 3))
            for work in self._works:
                self._look(work, now)

    def _look(self, work: Workload, now: float) -> None:
        call, sight = work.current, self._seen.get(work)
        if call is None:
            self._seen.pop(work, None)
        elif sight is None or sight.call is not call:
            self._seen[work] = _Sight(call, now)
        elif not sight.is_reported and now - sight.since >= self._slow:
            sight.is_reported = True
            log.warning(
                "a handler keeps its service from others",
                service=work.name,
                **call.facts(),
                busy=round(now - sight.since, 3),
                waiting=work.waiting,
            )
