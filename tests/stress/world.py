"""A world to wear out: a head, a worker, clients by every road, and somebody who cuts the roads."""

import random
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from alknet import NodeSettings, Settings
from alknet.runtime.supervisor import INTENSITY, PERIOD
from alknet.testing import Fault, Faults, FaultyRoad, connected, no_orphans, node, road_to

from .audit import Violations, audited
from .work import shapes

HEAD = [shapes(f"head-{number}") for number in range(7)]
WORKER = [shapes(f"worker-{number}") for number in range(3)]
# What one service is asked is lost with it, and with what it requires.
HEAD[1].Work.requires = (HEAD[0].Work.namespace,)

# Services end at most as often as a supervisor takes for bad luck.
FAILURES = INTENSITY - 1


class Road:
    """A way to ask: a client, the node to name in a call, and what may go wrong on the way."""

    def __init__(self, name, client, services, *, node="head", has_link=False, is_relayed=False):
        self.name = name
        self.client = client
        self.services = services
        self.node = node
        self.has_link = has_link
        self.is_relayed = is_relayed


class World:
    """What a caller finds: roads, and what it needs to know about what else happens."""

    def __init__(self, seed, record, *, is_calm):
        self.rng = random.Random(f"world {seed}")
        self.record = record
        self.is_calm = is_calm
        self.roads = []
        self.faulty = []
        self.violations = Violations()
        self.head = None
        self.tasks = None
        self._failures = deque(maxlen=FAILURES)

    def may_fail(self):
        """Whether a service may say now that it cannot go on."""
        now, failures = trio.current_time(), self._failures
        if self.is_calm or (len(failures) == FAILURES and failures[0] > now - PERIOD - 1):
            return False
        failures.append(now)
        return True

    def faults(self, number):
        """Return what goes wrong with a link: a little always, and sooner or later the end."""
        rng = self.rng
        in_pieces = rng.random() < 0.5
        delay = rng.choice([0.0, 0.0, 0.002])
        if self.is_calm or number % 3 == 0:
            ends = {}
        else:
            ends = {"after_bytes": rng.randrange(300, 400_000)}
        way = rng.choice(["sending", "receiving"])
        faults = {"sending": {}, "receiving": {}, way: ends}
        return Faults(
            **{which: Fault(in_pieces=in_pieces, **fields) for which, fields in faults.items()},
            delay=delay,
            jitter=delay,
        )

    async def chaos(self):
        """Cut links, at once or after a silence, until cancelled; in a calm world do nothing."""
        rng = self.rng
        if self.is_calm:
            await trio.sleep_forever()
        while True:
            await trio.sleep(rng.uniform(0.01, 0.15))
            links = [link for road in self.faulty for link in road.links]
            if links:
                link = rng.choice(links)
                if rng.random() < 0.2:
                    link.silence()
                    await trio.sleep(rng.uniform(0.1, 2))
                link.cut()

    def sessions(self):
        """Return every session there is, at either end."""
        found = set(self.head.sessions)
        found |= {road.client.session for road in self.roads if hasattr(road.client, "session")}
        return found

    def left_over(self):
        """Return what calls have left behind, in sentences; nothing of it may be there at rest."""
        found = [*self.violations]
        for session in self.sessions():
            for name in ("pending", "inbound"):
                if calls := getattr(session, name):
                    found.append(f"{session!r} has {len(calls)} in {name}")
            waiting = [entry for entry in session.deadlines._heap if not entry[2].is_over]
            if waiting:
                found.append(f"{session!r} watches {len(waiting)} deadlines")
            if session.encoder.pending:
                found.append(f"{session!r} has {session.encoder.pending} bytes unsent")
        for actor in self.actors:
            work = actor.work
            counts = (work.busy, len(work.mailbox), len(work.taken))
            if any(counts) or work.current is not None:
                found.append(f"{actor.name} has {counts} busy, waiting and taken")
        for entry in self.head.dispatcher.registry:
            if entry.measure.in_flight:
                found.append(f"{entry.spec.name} has {entry.measure.in_flight} calls in flight")
        if self.record.at_work:
            found.append(f"{self.record.at_work} handlers are at work")
        return found

    def living(self):
        """Return how many tasks live, but for those of links that differ in how slow they are."""
        return sum(not task.name.startswith("what ") for task in self.tasks.alive)

    @property
    def actors(self):
        return self.head._supervisor.actors


@asynccontextmanager
async def world(seed, record, *, is_calm=False):
    """Yield a world that runs; when it is left, nothing of it may be left."""
    here = World(seed, record, is_calm=is_calm)
    settings = Settings(node=NodeSettings(drain=1.0))
    async with (
        no_orphans() as here.tasks,
        node([each.Work(record) for each in HEAD], settings=settings) as here.head,
        AsyncExitStack() as stack,
    ):

        async def connect(name, number, **options):
            dial = audited(road_to(here.head, framed=number % 2 == 0), here.violations)
            road = FaultyRoad(dial, here.faults, seed=seed * 100 + number)
            here.faulty.append(road)
            return await stack.enter_async_context(
                connected(
                    here.head,
                    name=name,
                    dial=road.dial,
                    reconnect=True,
                    format=("json", "msgpack")[number // 2 % 2],
                    **options,
                )
            )

        await connect("worker", 0, services=[each.Work(record) for each in WORKER])
        near = here.head.client
        here.roads += [
            Road("near", near, HEAD),
            Road("near relayed", near, WORKER, node="worker", has_link=True, is_relayed=True),
        ]
        for number in range(1, 7):
            client = await connect(f"client-{number}", number, timeout=5.0)
            here.roads += [
                Road(f"link {number}", client, HEAD, has_link=True),
                Road(
                    f"relayed {number}",
                    client,
                    WORKER,
                    node="worker",
                    has_link=True,
                    is_relayed=True,
                ),
            ]
        yield here
