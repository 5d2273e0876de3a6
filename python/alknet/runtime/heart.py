"""Heart: how this process fares, as it tells a head that it works for."""

import os
import time
from pathlib import Path

from alknet._core import __version__
from alknet.call.context import Context
from alknet.protocol.worker import Heartbeat


class Heart:
    """Beats from when it is made: `uptime` counts from there."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def beat(self, context: Context) -> Heartbeat:
        """Return the heartbeat of this moment, for whoever asks by the call of *context*."""
        session = context.session
        return Heartbeat(
            node=context.node,
            time=time.time(),
            uptime=time.monotonic() - self._begun,
            load=os.getloadavg()[0],
            cpus=os.cpu_count() or 1,
            # Leaving out this very call.
            in_flight=0 if session is None else len(session.inbound) - 1,
            memory_bytes=_memory(),
            version=__version__,
        )


def _memory() -> int | None:
    try:
        resident = Path("/proc/self/statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return None
    return int(resident) * os.sysconf("SC_PAGE_SIZE")
