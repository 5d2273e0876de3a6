"""RelayedStream: a subscription that this node passes on, a bounded number of items at a time."""

import math
from typing import TYPE_CHECKING, Final

from alknet.call.relay import Relay
from alknet.errors import Internal
from alknet.wire.link import Format

if TYPE_CHECKING:
    from alknet.call.session import Session

# Whatever the origin has granted, the target may have so many items on their way, and is granted
# more only while the link to the origin takes them.
_WINDOW: Final = 256


class RelayedStream(Relay):
    """A relay of many answers, to the end or an error.

    The origin's credit is passed on in portions, since one who grants much, or names no window at
    all, and does not read, would otherwise be kept waiting for in this node's memory.
    """

    __slots__ = ("_allowed", "_is_waiting", "_outbox", "_outstanding")

    def __init__(
        self, origin: "Session", origin_id: str, target: "Session", *, has_items: bool
    ) -> None:
        super().__init__(origin, origin_id, target, has_items=has_items)
        # What the origin has granted and the target has not been, and what the target has been
        # granted and has not sent.
        self._allowed: float = 0
        self._outstanding = 0
        self._is_waiting = False
        self._outbox = origin.outbox

    def window(self, asked: int | None) -> int | None:
        # Asked for when the call is passed on, of which nothing has been said yet.
        self._outbox = self.origin.lanes.begin(self.origin_id)
        self._allowed = math.inf if asked is None else asked
        self._outstanding = int(min(self._allowed, _WINDOW))
        self._allowed -= self._outstanding
        return self._outstanding

    def responded(self, output: bytes, format: Format) -> bool:
        self._outstanding -= 1
        if self._outstanding < 0:
            self.fail(Internal(f"{self.target.peer} sends more items than it was granted"))
            return True
        self.origin.respond(self.origin_id, output, format)
        if self._allowed and self._outstanding * 2 <= _WINDOW:
            self._grant()
        return False

    def credit(self, items: int) -> None:
        self._allowed += items
        self._grant()

    def _grant(self) -> None:
        more = int(min(self._allowed, _WINDOW - self._outstanding))
        if more <= 0 or self._is_waiting:
            return
        if self._outbox.is_full:
            self._is_waiting = True
            self._outbox.when_room(self._go_on)
            return
        self._allowed -= more
        self._outstanding += more
        self.target.pending.grant(self.target_id, more)

    def _go_on(self) -> None:
        self._is_waiting = False
        self._grant()
