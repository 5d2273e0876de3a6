"""Heartbeat: signs of life over a link, and the end of one whose far end shows none.

A link can be lost without a word: the cable is out, the machine is off, the address translator has
forgotten the connection. TCP notices only when there is something to send, and then after many
minutes. So each side sends something at least once in a fifth of its own `silence_seconds`, asks
when it has heard nothing for as long, and gives the link up before the whole of it has passed.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from alknet.call.outbox import Outbox
from alknet.errors import Disconnected
from alknet.wire.link import Link

_BEATS: Final = 5


class Heartbeat:
    """Sees to it that the peer hears of us and we of it; *cut* is told why when we do not.

    Whoever reads the link sets `has_heard` when something has come. A peer that has not agreed to
    `link.ping` is asked by the transport's own means, and is not judged while it is being sent
    something: those means wait behind a large message.
    """

    __slots__ = ("_cut", "_is_asking", "_link", "_outbox", "_seconds", "has_heard")

    def __init__(
        self, link: Link, outbox: Outbox, seconds: float, cut: Callable[[str], None]
    ) -> None:
        self.has_heard = False
        self._is_asking = False
        self._link = link
        self._outbox = outbox
        self._seconds = seconds
        self._cut = cut

    async def run(self) -> None:
        """Watch until the link is cut, or until cancelled."""
        link, outbox, silent = self._link, self._outbox, 0
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(self._seconds / _BEATS)
                silent = 0 if self.has_heard else silent + 1
                self.has_heard = False
                if silent >= _BEATS - 1:
                    self._cut(f"nothing was heard of the peer for {self._seconds:g} s")
                    nursery.cancel_scope.cancel()
                if link.answers_pings:
                    if silent or not outbox.has_sent:
                        outbox.encoder.ping("")
                        outbox.wake()
                elif silent and not self._is_asking:
                    nursery.start_soon(self._ask)
                outbox.has_sent = False

    async def _ask(self) -> None:
        """Note a sign of life that the transport brings; only one is asked for at a time.

        To cancel one that is under way could leave half of it sent.
        """
        self._is_asking = True
        with suppress(Disconnected):  # the reader sees it too
            if self._outbox.is_empty:
                await self._link.ping()
            self.has_heard = True
        self._is_asking = False
