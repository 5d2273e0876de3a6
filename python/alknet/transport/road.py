"""Which transport a URL means: each is a module with `listen` and `dial` of the same shape."""

from importlib import import_module
from types import ModuleType
from typing import Final, Protocol

import trio

from alknet.transport.address import Address
from alknet.transport.gate import OPEN, Gate
from alknet.transport.listener import Serve
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

# By the name of the module, which is imported when it is first used: what QUIC, SSH or DNS needs is
# much to load for who calls over TLS.
_ROADS: Final = {
    "ws": "websocket",
    "wss": "websocket",
    "tcp": "tcp",
    "tls": "tls",
    "quic": "quic",
    "dns": "dns",
    "ssh": "ssh",
}


class Dial(Protocol):
    """Opens a link to a URL, as `dial` does; `connect` takes another, for a road of your own."""

    async def __call__(
        self, nursery: trio.Nursery, url: str, *, limits: Limits, format: Format = "json"
    ) -> Link:
        """Return the link; what it needs to run in the background runs in *nursery*.

        Raises:
            Unreachable: nobody answers there.
        """
        ...


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
    gate: Gate = OPEN,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept links at *url* until cancelled; `started` gives the URL with the port bound.

    Each link is served by a task of its own, in *links* if that is given. *gate* says what TLS
    and QUIC show, and who is turned away before there is a link.

    Raises:
        SettingsError: the URL means no transport, or cannot be bound.
    """
    await _road(url).listen(
        url, serve, limits=limits, links=links, gate=gate, task_status=task_status
    )


async def dial(
    nursery: trio.Nursery,
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
) -> Link:
    """Open a link to *url*; what it needs to run in the background runs in *nursery*.

    *trust* says what is shown and believed over TLS and QUIC.

    Raises:
        SettingsError: the URL means no transport.
        Unreachable: nobody answers there, or nobody who speaks alknet.
        Refused: the node's certificate is not one that *trust* believes.
        Locked: the node has no certificate to show, as while its vault is locked.
    """
    link: Link = await _road(url).dial(nursery, url, limits=limits, format=format, trust=trust)
    return link


def _road(url: str) -> ModuleType:
    return import_module(f"alknet.transport.{_ROADS[Address.parse(url).scheme]}")
