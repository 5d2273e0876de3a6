"""A small world, in which every call is watched: three services, a client beside them, two links."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from alknet.call.dispatch import Dispatcher
from alknet.call.registry import Registry
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.errors import CallError
from alknet.runtime.actor import Actor
from alknet.runtime.supervisor import Supervisor
from alknet.transport.memory import memory_pair

from ..people import ALICE
from .held import Book, held

SERVICES = {
    each.name: each for each in (held("store"), held("web", needs=("store",)), held("clock"))
}
LINKS = {"json": {"framed": False}, "msgpack": {"framed": True}}
NEAR = "near"
LEFT = "left"


@dataclass
class Call:
    """One call: what was asked, what the model says that it ends as, and what it ended as."""

    number: int
    service: str
    shape: str
    road: str
    due: float
    ends: object = None
    outcomes: list = field(default_factory=list)
    items: int = 0
    sent: int = 0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def is_inline(self):
        """Whether the handler runs in the caller's own task, which outlives the service."""
        return self.shape == "Fetch" and self.road == NEAR


class World:
    """Three services under a supervisor, a client beside them, and one at the end of each link."""

    def __init__(self, nursery):
        self.book = Book()
        actors = [Actor(each.Held(self.book)) for each in SERVICES.values()]
        self.work = {actor.name: actor.work for actor in actors}
        self.supervisor = Supervisor(actors, intensity=1_000_000)
        self.dispatcher = Dispatcher(Registry())
        for actor in actors:
            self.dispatcher.registry.add(actor.entries())
        self.clients = {NEAR: self.dispatcher.client(ALICE)}
        self.sessions = {}
        self._nursery = nursery

    async def link(self, format):
        """Open the link of that format anew."""
        ends = memory_pair(format=format, **LINKS[format])
        near = Session(ends[0], identity=None, is_dialled=True)
        far = Session(ends[1], identity=ALICE, dispatcher=self.dispatcher)
        await self._nursery.start(far.run)
        await self._nursery.start(near.run)
        self.sessions[format] = (near, far)
        self.clients[format] = RemoteClient(near, timeout=1000)

    def cut(self, format):
        self.sessions[format][0].link.cut()

    def ask(self, call, request):
        self._nursery.start_soon(self._outcome, call, request)

    async def _outcome(self, call, request):
        client, timeout = self.clients[call.road], call.due - trio.current_time()
        with call.scope:
            try:
                if call.shape == "Watch":
                    async with client.stream(request, window=2) as items:
                        async for item in items:
                            assert item == call.number
                            call.items += 1
                    call.outcomes.append(0)
                else:
                    call.outcomes.append(await client.call(request, timeout=timeout))
            except CallError as error:
                call.outcomes.append(error)
        if call.scope.cancelled_caught:
            call.outcomes.append(LEFT)


@asynccontextmanager
async def world():
    async with trio.open_nursery() as nursery:
        here = World(nursery)
        await nursery.start(here.supervisor.run)
        for format in LINKS:
            await here.link(format)
        yield here
        nursery.cancel_scope.cancel()
