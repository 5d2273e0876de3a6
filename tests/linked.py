"""Services that run, and links to them within the process: what a node is made of, in pieces."""

import math
from contextlib import asynccontextmanager

import trio

from alknet._core.envelope import Decoder, Encoder
from alknet.call.context import Context
from alknet.call.dispatch import Dispatcher
from alknet.call.registry import Registry
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.identity import Identity
from alknet.runtime.actor import Actor
from alknet.runtime.supervisor import Supervisor
from alknet.transport.memory import memory_pair
from alknet.wire.limits import DEFAULT_LIMITS

from .people import ALICE


@asynccontextmanager
async def running(*services, name="head"):
    """Run *services* and yield the dispatcher that asks them."""
    supervisor = Supervisor(Actor(service) for service in services)
    dispatcher = Dispatcher(Registry(), name)
    for actor in supervisor.actors:
        dispatcher.registry.add(actor.entries())
    async with trio.open_nursery() as nursery:
        await nursery.start(dispatcher.continuations.run)
        await nursery.start(supervisor.run)
        yield dispatcher
        nursery.cancel_scope.cancel()


class FarInvocation:
    """A call that nobody in this process waits for: it has a deadline, and counts its outcomes."""

    is_local = False
    sender = "a link"
    span = None

    def __init__(self, entry, request, deadline=math.inf, dispatcher=None):
        self.entry = entry
        self.request = request
        self.deadline = deadline
        self.context = Context(dispatcher, entry.spec, ALICE, deadline=deadline)
        self.scope = None
        self.items = None
        self.is_over = False
        self.outcomes = []

    def respond(self, value):
        if not self.is_over:
            self.is_over = True
            self.outcomes.append(value)

    fail = respond

    def facts(self):
        return self.context.facts()

    async def send(self, item):
        await trio.lowlevel.checkpoint()

    def complete(self):
        self.respond(None)

    def cancel(self):
        self.is_over = True
        if self.scope is not None:
            self.scope.cancel()


class Linked:
    """Two sessions that face each other: `near` asks through `client`, `far` answers."""

    def __init__(self, near, far):
        self.near = near
        self.far = far
        self.client = RemoteClient(near)


@asynccontextmanager
async def linked(
    dispatcher,
    *,
    identity=ALICE,
    limits=DEFAULT_LIMITS,
    near_limits=DEFAULT_LIMITS,
    format="json",
    near_dispatcher=None,
    near_identity=None,
    is_confidential=True,
    framed=False,
):
    """Link a client to *dispatcher*, which takes it for *identity*."""
    one, other = memory_pair()
    for link in (one, other):
        link.format = format
        link.framed = framed
        link.is_confidential = is_confidential
    near = Session(
        one,
        identity=near_identity,
        dispatcher=near_dispatcher,
        is_dialled=True,
        limits=near_limits,
    )
    far = Session(other, identity=identity, dispatcher=dispatcher, limits=limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(far.run)
        await nursery.start(near.run)
        yield Linked(near, far)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def working(dispatcher, *services, name="worker-1", grant=("*",), **options):
    """Link a worker to *dispatcher*, where its services can be called as *name*."""
    trusted = Identity("head", frozenset({*grant, "identity:forward"}))
    async with (
        running(*services, name=name) as own,
        linked(
            dispatcher,
            identity=Identity(name, frozenset()),
            near_dispatcher=own,
            near_identity=trusted,
            **options,
        ) as link,
    ):
        dispatcher.peers.add(link.far)
        dispatcher.peers.offer(
            link.far,
            {each.spec.name: each.spec.kind for each in own.registry},
            confidential={each.spec.name for each in own.registry if each.spec.confidential},
        )
        try:
            yield link
        finally:
            dispatcher.peers.remove(link.far)


class RawPeer:
    """The far end of a session, without a session: it says what it is told to, right or wrong."""

    def __init__(self, link):
        self.link = link
        self.encoder = Encoder(link.format, framed=link.framed)
        self.decoder = Decoder(link.format, framed=link.framed)
        self.read = []

    async def send(self):
        """Send what has been encoded."""
        await self.link.send(self.encoder.take())

    async def say(self, raw):
        """Send bytes of any kind."""
        await self.link.send([raw])

    async def hear(self):
        """Return the next event."""
        while not self.read:
            data = await self.link.receive()
            if not data:
                raise EOFError
            self.read += self.decoder.feed(data)
        return self.read.pop(0)


@asynccontextmanager
async def facing(
    dispatcher=None, *, identity=ALICE, limits=DEFAULT_LIMITS, format="json", framed=False
):
    """Yield a session and the raw peer that faces it."""
    one, other = memory_pair()
    for link in (one, other):
        link.format = format
        link.framed = framed
    session = Session(one, identity=identity, dispatcher=dispatcher, limits=limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(session.run)
        yield session, RawPeer(other)
        nursery.cancel_scope.cancel()
