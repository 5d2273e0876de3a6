"""Stopping a node: what it has begun it finishes, within its drain, and then nothing is left."""

from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import NodeSettings, Request, Service, Settings, connect, handler, open_node, operation
from alknet.errors import CallError, Unavailable, Unreachable
from alknet.keys import Keyring, ssh_public_line
from alknet.protocol.storage import Watch
from alknet.services.auth.keyset import AuthSettings, Peer
from alknet.services.storage.base import StorageSettings

KEYS = Keyring.from_seed(bytes(32))
BAKER = KEYS.ed25519("m/0'")
EATER = KEYS.ed25519("m/1'")


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
    """A node with one call in flight over a link, and what becomes of both.

    The oven stands in the node, or, if it is far, in a peer that the call is passed on to.
    """

    def __init__(self, *, is_far):
        self.oven = Oven()
        self.is_far = is_far
        self.stop = trio.Event()
        self.patience = trio.CancelScope()
        self.node = None
        self.outcome = None

    async def serve(self, drain, *, task_status):
        settings = Settings(
            node=NodeSettings(listen=("ws://127.0.0.1:0",), drain=drain),
            services={"auth": AuthSettings(peers=(peer("baker", BAKER), peer("eater", EATER)))},
        )
        here = [] if self.is_far else [self.oven]
        async with open_node(settings, services=here) as self.node:
            task_status.started()
            await self.stop.wait()

    async def bake(self, *, task_status):
        async with connect(self.node.url, identity=BAKER, services=[self.oven]):
            task_status.started()
            await trio.sleep_forever()

    async def call(self):
        async with connect(self.node.url, identity=EATER) as client:
            with self.patience:
                try:
                    self.outcome = await client.call(
                        Bake(), node="baker" if self.is_far else "head"
                    )
                except CallError as error:
                    self.outcome = error


def peer(name, key):
    return Peer(name, (ssh_public_line(key.public_key),), frozenset({"*"}))


@asynccontextmanager
async def baking(*, drain, is_far=False):
    work = Baking(is_far=is_far)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as inner:
            await inner.start(work.serve, drain)
            if is_far:
                await nursery.start(work.bake)
            inner.start_soon(work.call)
            with trio.fail_after(5):
                await work.oven.is_hot.wait()
                yield work
                work.stop.set()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("is_far", [False, True], ids=["here", "far"])
async def test_a_call_in_flight_over_a_link_is_finished(is_far):
    async with baking(drain=5, is_far=is_far) as work:
        work.stop.set()
        await wait_all_tasks_blocked()
        work.oven.is_done.set()

    assert work.outcome == "bread"


async def test_a_node_that_stops_takes_no_new_links():
    async with baking(drain=5) as work:
        work.stop.set()
        await wait_all_tasks_blocked()
        with pytest.raises(Unreachable):
            async with connect(work.node.url, identity=EATER):
                pass
        work.oven.is_done.set()


async def test_a_node_that_stops_passes_no_more_calls_on():
    async with baking(drain=5, is_far=True) as work:
        async with connect(work.node.url, identity=EATER) as late:
            work.stop.set()
            await wait_all_tasks_blocked()
            with pytest.raises(Unavailable, match="stopping and passes no more calls on"):
                await late.call(Bake(), node="baker")
        work.oven.is_done.set()

    assert work.outcome == "bread"


@pytest.mark.parametrize("is_far", [False, True], ids=["here", "far"])
async def test_a_call_that_is_given_up_is_waited_for_no_longer(is_far):
    with trio.fail_after(5):
        async with baking(drain=3600, is_far=is_far) as work:
            work.stop.set()
            await wait_all_tasks_blocked()
            work.patience.cancel()

    assert work.outcome is None


@pytest.mark.parametrize("is_far", [False, True], ids=["here", "far"])
async def test_a_call_that_outlasts_the_drain_is_told_so(is_far):
    async with baking(drain=0.01, is_far=is_far) as work:
        work.stop.set()

    assert isinstance(work.outcome, Unavailable)


@pytest.mark.parametrize("is_far", [False, True], ids=["here", "far"])
async def test_a_node_in_a_hurry_does_not_wait_for_its_drain(is_far):
    async with baking(drain=3600, is_far=is_far) as work:
        work.stop.set()
        await wait_all_tasks_blocked()
        work.node.hurry()

    assert isinstance(work.outcome, Unavailable)


async def test_a_stream_that_nobody_waits_for_the_end_of_does_not_hold_a_node_up():
    """Who watches is told that the service is gone, and may ask again; the drain is for others."""
    settings = Settings(node=NodeSettings(drain=3600.0), services={"storage": StorageSettings()})
    told = []

    async def watch(client, *, task_status):
        with pytest.raises(Unavailable, match="'storage' is not running"):
            async with client.stream(Watch("nodes")) as events:
                task_status.started()
                await anext(events)
        told.append(True)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            async with open_node(settings) as node:
                await nursery.start(watch, node.client)
    assert told
