"""Which transport a URL means: each is a module with `listen` and `dial` of the same shape."""

from types import ModuleType
from typing import Final, Protocol

import trio

from alknet.transport import tcp, websocket
from alknet.transport.address import Address
from alknet.transport.tcp import Serve
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link

_ROADS: Final[dict[str, ModuleType]] = {"ws": websocket, "wss": websocket, "tcp": tcp}


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
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept links at *url* until cancelled; `started` gives the URL with the port bound.

    Each link is served by a task of its own, in *links* if that is given.

    Raises:
        SettingsError: the URL means no transport, or cannot be bound.
    """
    road = _ROADS[Address.parse(url).scheme]
    await road.listen(url, serve, limits=limits, links=links, task_status=task_status)


async def dial(nursery: trio.Nursery, url: str, *, limits: Limits, format: Format = "json") -> Link:
    """Open a link to *url*; what it needs to run in the background runs in *nursery*.

    Raises:
        SettingsError: the URL means no transport.
        Unreachable: nobody answers there, or nobody who speaks alknet.
    """
    road = _ROADS[Address.parse(url).scheme]
    link: Link = await road.dial(nursery, url, limits=limits, format=format)
    return link
