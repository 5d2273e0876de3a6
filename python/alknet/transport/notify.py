"""sd_notify(3): telling systemd that the node is ready, reloads, stops, and is alive.

The protocol is a datagram of lines to the socket that `$NOTIFY_SOCKET` names; without that, or
where nobody listens, nothing is sent and nothing is missed.
"""

import os
import socket
import time
from collections.abc import Mapping
from typing import Final

import structlog
import trio

log = structlog.get_logger("alknet.systemd")

_MICROSECONDS: Final = 1_000_000


class Notifier:
    """Speaks to the service manager that *environment* names, if it names one."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog = _watchdog_seconds(environment)

    def ready(self, status: str) -> None:
        """Say that the node answers, and in a line for a person how it is."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Say that the settings are read anew; `ready` says that this is done."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the node stops, and takes no more links."""
        self._send("STOPPING=1")

    async def keep_alive(self) -> None:
        """Say, twice as often as systemd wants to hear it, that tasks get to run, until cancelled.

        A node that computes, or waits without telling Trio, falls silent, and is started anew.
        """
        if self.watchdog is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await trio.sleep(self.watchdog / 2)

    def _send(self, message: str) -> None:
        # systemd names a path or, in the abstract namespace, a name that begins with @.
        if self._address[:1] not in ("/", "@"):
            return
        address = self._address.replace("@", "\0", 1) if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto(message.encode(), address)
        except OSError as error:
            log.warning("systemd not told", why=str(error))


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Return within how many seconds systemd wants to hear of this process, None if it does not."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / _MICROSECONDS if text.isdecimal() and int(text) else None
