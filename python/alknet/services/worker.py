"""WorkerService: follows the heartbeats of the workers that are connected, and passes them on."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import msgspec
import structlog
import trio

from alknet.call.backoff import backoff
from alknet.call.client import HERE
from alknet.call.context import Context
from alknet.call.home import Home
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.errors import AlknetError
from alknet.protocol.worker import Heartbeat, Heartbeats, Interval
from alknet.runtime.heart import Heart
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler

log = structlog.get_logger("alknet.worker")


class WorkerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [worker] of stack.toml.

    `interval` is how many seconds lie between a worker's heartbeats.
    """

    interval: Interval = 5.0


class WorkerService(Service, namespace="worker"):
    """Asks each worker that offers heartbeats for them, and keeps the newest where peers are."""

    settings_type = WorkerSettings

    def __init__(self, settings: WorkerSettings, home: Home) -> None:
        self._interval = settings.interval
        self._heart = Heart()
        self._home = home
        self._followed: set[Session] = set()
        # By worker: the newest heartbeat, and its number, by which a reader knows it as new.
        self._newest: dict[str, tuple[int, Heartbeat]] = {}
        self._last = 0
        self._news = trio.lowlevel.ParkingLot()

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.section(cls.namespace), host.home)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._followed.clear()
        self._newest.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_following, nursery)
            yield
            nursery.cancel_scope.cancel()

    @handler(endless=True)
    async def heartbeat(self, request: Heartbeats, context: Context) -> AsyncIterator[Heartbeat]:
        while request.worker is not None and self._home.is_here(request.worker):
            yield self._heart.beat(context)
            await trio.sleep(request.interval)
        seen = 0
        while True:
            for number, heartbeat in sorted(self._newest.values(), key=lambda each: each[0]):
                # Another may have come while one was sent; it has its turn in the next round.
                if number > seen and request.worker in (None, heartbeat.node):
                    yield heartbeat
                seen = max(seen, number)
            if seen == self._last:
                await self._news.park()

    async def _keep_following(self, nursery: trio.Nursery) -> None:
        name = Heartbeats.__operation__.name
        while True:
            for session in self._home.peers.answering(name):
                if session not in self._followed:
                    self._followed.add(session)
                    nursery.start_soon(self._follow, session)
            await self._home.peers.changed.wait()

    async def _follow(self, session: Session) -> None:
        """Hear what the worker of *session* says, for as long as it is connected."""
        failures = 0
        try:
            while True:
                try:
                    # Of itself, where it has workers of its own.
                    asked = Heartbeats(self._interval, HERE)
                    beats = RemoteClient(session).stream(asked, window=2)
                    async with beats:
                        async for heartbeat in beats:
                            failures = 0
                            self._hear(session, heartbeat)
                except AlknetError as error:
                    log.info("no heartbeats", peer=session.peer, why=str(error))
                if session.is_closed:
                    return
                failures += 1
                await trio.sleep(max(backoff(failures), self._interval))
        finally:
            self._followed.discard(session)
            self._newest.pop(session.peer, None)

    def _hear(self, session: Session, heartbeat: Heartbeat) -> None:
        # What it calls itself proves nothing; its link says who it is.
        heartbeat = msgspec.structs.replace(heartbeat, node=session.peer)
        self._home.peers.hear(session, heartbeat, time.time())
        self._last += 1
        self._newest[session.peer] = (self._last, heartbeat)
        self._news.unpark_all()
