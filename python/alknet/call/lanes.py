"""Lanes: ways of their own for the answers to subscriptions, over links that have more than one."""

import trio

from alknet.call.outbox import Outbox
from alknet.errors import Disconnected, RemoteProtocolError
from alknet.wire.limits import Limits
from alknet.wire.link import Link


class Lanes:
    """Which of the peer's subscriptions are answered on a lane of *link*; *outbox* is for the rest.

    Each has an outbox of its own, so that what is large, or lost on the way, holds up nobody else.
    """

    def __init__(self, link: Link, limits: Limits, outbox: Outbox) -> None:
        self._link = link
        self._limits = limits
        self._outbox = outbox
        self._of: dict[str, Outbox] = {}
        self._unfinished: set[Outbox] = set()
        # In which they are written; before there is one, no lane is opened.
        self.nursery: trio.Nursery | None = None

    def begin(self, request_id: str) -> Outbox:
        """Return the outbox for all answers to *request_id*, until `end`."""
        if self.nursery is None or self._outbox.lost is not None:
            return self._outbox
        try:
            lane = self._link.open_lane()
        except Disconnected:
            return self._outbox  # the session sees it too
        if lane is None:
            return self._outbox
        outbox = self._of[request_id] = Outbox(lane, self._limits, self._outbox.overflown)
        self._unfinished.add(outbox)
        self.nursery.start_soon(self._write, lane, outbox)
        return outbox

    def of(self, request_id: str) -> Outbox:
        """Return the outbox for an answer to *request_id*."""
        return self._of.get(request_id, self._outbox) if self._of else self._outbox

    def end(self, request_id: str) -> None:
        """Note that nothing more is said to *request_id*."""
        if self._of:
            outbox = self._of.pop(request_id, None)
            if outbox is not None:
                outbox.finish()

    async def flushed(self) -> None:
        """Return when everything queued so far has been handed to the link, or that is lost."""
        for outbox in (self._outbox, *self._unfinished):
            while not outbox.is_empty and outbox.lost is None:
                await outbox.progress()

    def close(self, error: Disconnected | RemoteProtocolError) -> None:
        """Note that the link is lost."""
        self._of.clear()
        for outbox in self._unfinished:
            outbox.close(error)

    async def _write(self, lane: Link, outbox: Outbox) -> None:
        try:
            await outbox.run()
            await lane.send_eof()
        except Disconnected:
            return  # the session's reader sees it too, and cleans up
        finally:
            self._unfinished.discard(outbox)
