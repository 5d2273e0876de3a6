"""Stopping a node: what it has begun it finishes, within its drain, and then nothing is left."""

from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import NodeSettings, Request, Service, Settings, connect, handler, open_node, operation
from alknet.errors import CallError, Unavailable, Unreachable
from alknet.keys import Keyring, ssh_public_line
from alknet.services.auth.keyset import AuthSettings, Peer

CALLER = Keyring.from_seed(bytes(32)).ed25519("m/0'")


@operation("oven/bake")
class Bake(Request[str], frozen=True):
    """Return when the bread is done."""


class Oven(Service, namespace="oven"):
    def __init__(self):
        self.is_hot = trio.Event()
        self.is_done = trio.Event()

    @handler(concurrent=True)
    async def bake(self, _: Bake) -> str:
        self.is_hot.set()
        await self.is_done.wait()
        return "bread"


class Baking:
    """A node with one call in flight over a link, and what becomes of both."""

    def __init__(self):
        self.oven = Oven()
        self.stop = trio.Event()
        self.node = None
        self.outcome = None

    async def serve(self, drain, *, task_status):
        settings = Settings(
            node=NodeSettings(listen=("ws://127.0.0.1:0",), drain=drain),
            services={
                "auth": AuthSettings(
                    peers=(Peer("baker", (ssh_public_line(CALLER.public_key),), frozenset({"*"})),)
                )
            },
        )
        async with open_node(settings, services=[self.oven]) as self.node:
            task_status.started()
            await self.stop.wait()

    async def call(self):
        async with connect(self.node.url, identity=CALLER) as client:
            try:
                self.outcome = await client.call(Bake())
            except CallError as error:
                self.outcome = error


@asynccontextmanager
async def baking(*, drain):
    work = Baking()
    async with trio.open_nursery() as nursery:
        await nursery.start(work.serve, drain)
        nursery.start_soon(work.call)
        with trio.fail_after(5):
            await work.oven.is_hot.wait()
            yield work
            work.stop.set()


async def test_a_call_in_flight_over_a_link_is_finished():
    async with baking(drain=5) as work:
        work.stop.set()
        await wait_all_tasks_blocked()
        work.oven.is_done.set()

    assert work.outcome == "bread"


async def test_a_node_that_stops_takes_no_new_links():
    async with baking(drain=5) as work:
        work.stop.set()
        await wait_all_tasks_blocked()
        with pytest.raises(Unreachable):
            async with connect(work.node.url, identity=CALLER):
                pass
        work.oven.is_done.set()


async def test_a_call_that_outlasts_the_drain_is_told_so():
    async with baking(drain=0.01) as work:
        work.stop.set()

    assert isinstance(work.outcome, Unavailable)


async def test_a_node_in_a_hurry_does_not_wait_for_its_drain():
    async with baking(drain=3600) as work:
        work.stop.set()
        await wait_all_tasks_blocked()
        work.node.hurry()

    assert isinstance(work.outcome, Unavailable)
