"""FaultyRoad: the way to a node, on which one link after the other goes wrong."""

from collections.abc import Callable

import trio

from alknet.errors import Unreachable
from alknet.testing.delay import DelayedLink
from alknet.testing.faults import Faults, FaultyLink
from alknet.transport.road import Dial
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link


class FaultyRoad:
    """A road whose links have faults: give its `dial` to `connect` or `connected`.

        road = FaultyRoad(road_to(node), lambda n: Faults(receiving=Fault(after_messages=10 * n)))
        async with connected(node, dial=road.dial, reconnect=True) as client: ...

    *dial* opens the links below; *faults* are those of each link, or a function from its number,
    from 0, to its faults. What chance decides follows from *seed*. `attempts` counts how often
    somebody has dialled, and `opened` how often that gave a link.
    """

    def __init__(
        self,
        dial: Dial,
        faults: Faults | Callable[[int], Faults] = Faults(),  # noqa: B008 - it is frozen
        *,
        seed: int = 0,
    ) -> None:
        self.is_blocked = False
        self.attempts = 0
        self.opened = 0
        self._dial = dial
        self._faults = faults
        self._seed = seed
        self._links: list[FaultyLink] = []

    @property
    def links(self) -> list[FaultyLink]:
        """The links that are open now."""
        self._links = [link for link in self._links if not link.is_over]
        return self._links

    def cut(self) -> None:
        """Cut every link that is open."""
        for link in self.links:
            link.cut()

    def silence(self) -> None:
        """Let nothing pass any more on the links that are open, and tell nobody."""
        for link in self.links:
            link.silence()

    def block(self) -> None:
        """Cut every link, and let nobody through until `unblock`."""
        self.is_blocked = True
        self.cut()

    def unblock(self) -> None:
        """Let links be opened again."""
        self.is_blocked = False

    async def dial(
        self, nursery: trio.Nursery, url: str, *, limits: Limits, format: Format = "json"
    ) -> Link:
        """Open a link with the faults of its number.

        Raises:
            Unreachable: the road is blocked, or nobody answers at its end.
        """
        self.attempts += 1
        if self.is_blocked:
            await trio.lowlevel.checkpoint()
            raise Unreachable(f"the road to {url} is blocked")
        number, self.opened = self.opened, self.opened + 1
        link = await self._dial(nursery, url, limits=limits, format=format)
        faults = self._faults if isinstance(self._faults, Faults) else self._faults(number)
        seed = f"{self._seed} {number}"
        if faults.delay or faults.jitter:
            link = DelayedLink(link, nursery, delay=faults.delay, jitter=faults.jitter, seed=seed)
        faulty = FaultyLink(link, sending=faults.sending, receiving=faults.receiving, seed=seed)
        self._links = [*self.links, faulty]
        return faulty
