"""connect(): a client, a worker, and what happens when the link or the node does not last."""

from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import Context, Request, Service, connect, handler, open_node, operation
from alknet.errors import (
    DeadlineExceeded,
    Disconnected,
    Forbidden,
    Locked,
    NotFound,
    Refused,
    SettingsError,
    Unavailable,
    Unreachable,
)
from alknet.protocol.directory import ListPeers, Ping
from alknet.protocol.secret import DeriveEd25519

from .echo import Count, Echo, Hold, Note, Say, Shout, WhoAmI
from .people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, node_key, node_settings, peer
from .test_node import Broken, Clock

ROADS = ["ws://127.0.0.1:0", "tcp://127.0.0.1:0"]


@pytest.fixture(params=ROADS, ids=["ws", "tcp"])
async def node(request, keyring):
    settings = node_settings(listen=(request.param,))
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        yield node


# A client.


@pytest.mark.parametrize("format", ["json", "msgpack"])
async def test_a_client_calls_the_node(node, keyring, format):
    async with connect(
        node.url, identity=ALICE_KEY, expect=node_key(keyring), format=format
    ) as client:
        key = await client.call(DeriveEd25519("m/74'/0'/0'/0'"))
        assert key.public_key == node_key(keyring)
        assert await client.invoke("/head/echo/say", {"text": "hi"}) == "hi"
        async with client.stream(Count(100)) as items:
            assert [item async for item in items] == list(range(100))


async def test_a_client_without_services_answers_nothing(node):
    async with connect(node.url, identity=ALICE_KEY):
        with pytest.raises(NotFound, match="has registered no operations"):
            await node.client.call(Say("x"), node="alice")


async def test_the_clients_timeout_is_that_of_every_call_that_brings_none(node):
    async with connect(node.url, identity=ALICE_KEY, timeout=0.05) as client:
        with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
            await client.call(Hold())


@pytest.mark.parametrize("way", ["leave", "raise", "cancel"])
async def test_however_the_block_is_left_the_node_knows(node, way):
    async def use():
        async with connect(node.url, identity=ALICE_KEY) as client:
            await client.call(Ping())
            if way == "raise":
                raise KeyError("mine")
            if way == "cancel":
                await trio.sleep_forever()

    if way == "raise":
        with pytest.raises(KeyError, match="mine"):
            await use()
    else:
        with trio.move_on_after(0.2):
            await use()
    with trio.fail_after(5):
        while (await node.client.call(ListPeers())).peers:
            await wait_all_tasks_blocked(0.01)


# Not let in.


async def test_who_is_not_listed_is_refused(node):
    with pytest.raises(Refused, match="is not listed here"):
        async with connect(node.url, identity=STRANGER_KEY):
            pytest.fail("a stranger was let in")


async def test_nobody_there_is_unreachable(node):
    port = int(node.url.rpartition(":")[2])
    gone = node.url.replace(str(port), "1")
    with pytest.raises(Unreachable, match="connection refused"):
        async with connect(gone, identity=ALICE_KEY):
            pass


async def test_a_url_of_no_transport_is_a_mistake_in_it(node):
    with pytest.raises(SettingsError, match="should read ws://"):
        async with connect("http://127.0.0.1:1", identity=ALICE_KEY):
            pass


async def test_a_node_that_is_not_the_one_expected_gets_nothing(node):
    with pytest.raises(Refused, match="it is another node, or has another seed"):
        async with connect(node.url, identity=ALICE_KEY, expect=STRANGER_KEY.public_key):
            pass


async def test_a_locked_node_is_told_apart_from_a_wrong_one(keyring):
    async with open_node(node_settings()) as node:
        with pytest.raises(Locked):
            async with connect(node.url, identity=ALICE_KEY, expect=node_key(keyring)):
                pass
        async with connect(node.url, identity=ALICE_KEY) as client:
            assert await client.call(Ping())


# A worker.


async def test_a_workers_operations_can_be_called_through_the_head(node):
    async with (
        connect(node.url, identity=WORKER_KEY, services=[Echo()]),
        connect(node.url, identity=ALICE_KEY) as alice,
    ):
        assert await alice.call(Say("hi"), node="worker-1") == "hi"
        assert await alice.call(WhoAmI(), node="worker-1") == "alice"
        assert await node.client.call(WhoAmI(), node="worker-1") == "head"
        async with alice.stream(Count(50), node="worker-1") as items:
            assert [item async for item in items] == list(range(50))


async def test_a_worker_is_a_client_too(node):
    async with connect(node.url, identity=WORKER_KEY, services=[Echo()]) as client:
        assert await client.call(Ping())


@operation("both/ways")
class BothWays(Request[str], frozen=True):
    """Ask the head something while answering it."""


async def test_a_worker_may_ask_the_head_while_it_answers(node):
    class Both(Service, namespace="both"):
        client = None

        @handler(concurrent=True)
        async def ways(self, _: BothWays, context: Context) -> str:
            return (await self.client.call(Ping())).node

    both = Both()
    async with connect(node.url, identity=WORKER_KEY, services=[both]) as both.client:
        assert await node.client.call(BothWays(), node="worker-1") == "head"


async def test_a_grant_bounds_what_the_head_may_ask(node):
    async with connect(node.url, identity=WORKER_KEY, services=[Echo()], grant=("echo:count",)):
        with pytest.raises(Forbidden, match="echo:shout"):
            await node.client.call(Shout("x"), node="worker-1")
        async with node.client.stream(Count(2), node="worker-1") as items:
            assert [item async for item in items] == [0, 1]


async def test_what_a_worker_calls_confidential_the_head_knows_to_be(node):
    async with connect(node.url, identity=WORKER_KEY, services=[Echo()]):
        peers = node.dispatcher.peers
        session = peers.route("worker-1", "echo/whisper")

        assert peers.is_confidential(session, "echo/whisper")
        assert not peers.is_confidential(session, "echo/say")


async def test_internal_operations_of_a_worker_are_not_offered(node):
    async with connect(node.url, identity=WORKER_KEY, services=[Echo()]):
        with pytest.raises(NotFound):
            await node.client.invoke("/worker-1/echo/secret")


async def test_a_worker_that_may_not_register_is_told_so_and_stops_its_services(keyring):
    story = []
    settings = node_settings(peer("worker-1", WORKER_KEY))
    async with open_node(settings, keyring=keyring) as node:
        with pytest.raises(Forbidden, match="services:register"):
            async with connect(node.url, identity=WORKER_KEY, services=[Clock(story)]):
                pytest.fail("it is of no use to anybody")
        with trio.fail_after(5):
            while (await node.client.call(ListPeers())).peers:
                await wait_all_tasks_blocked(0.01)

    assert story == ["+clock", "-clock"]


async def test_a_worker_that_is_refused_stops_its_services(node):
    story = []
    with pytest.raises(Refused):
        async with connect(node.url, identity=STRANGER_KEY, services=[Clock(story)]):
            pass

    assert story == ["+clock", "-clock"]


async def test_a_worker_whose_service_cannot_start_never_connects(node):
    with pytest.raises(OSError, match="there is no disk"):
        async with connect(node.url, identity=WORKER_KEY, services=[Broken()]):
            pass

    assert not (await node.client.call(ListPeers())).peers


async def test_two_services_of_one_name_are_refused_before_anything_is_opened(node):
    with pytest.raises(SettingsError, match="two services are called 'echo'"):
        async with connect(node.url, identity=WORKER_KEY, services=[Echo(), Echo()]):
            pass


@pytest.mark.parametrize("way", ["leave", "cancel"])
async def test_a_worker_that_stops_finishes_what_it_has_begun(node, way):
    echo, outcome = Echo(), []

    async def work(stop, task_status):
        with trio.CancelScope() as scope:
            async with connect(node.url, identity=WORKER_KEY, services=[echo]):
                task_status.started(scope)
                await stop.wait()

    async def ask():
        outcome.append(await node.client.call(Hold(), node="worker-1"))

    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        scope = await nursery.start(work, stop)
        nursery.start_soon(ask)
        await echo.has_begun()
        if way == "leave":
            stop.set()
        else:
            scope.cancel()
        await wait_all_tasks_blocked(0.05)
        with pytest.raises((Unavailable, NotFound)):
            await node.client.call(Note("too late"), node="worker-1")
        echo.let_go.set()

    assert outcome == ["held"]
    assert echo.notes == []


# Links that do not last.


@asynccontextmanager
async def restarting(keyring, url="ws://127.0.0.1:0"):
    """A node that can be stopped and started again at the same address."""
    running = Restarting()
    async with trio.open_nursery() as nursery:
        running.nursery = nursery
        await running.start(url)
        yield running
        await running.stop()
        nursery.cancel_scope.cancel()


class Restarting:
    url = ""

    async def start(self, url=None):
        self._stop, self._stopped = trio.Event(), trio.Event()
        self.node = await self.nursery.start(self._run, url or self.url)
        self.url = self.node.url

    async def stop(self):
        self._stop.set()
        await self._stopped.wait()

    async def _run(self, url, task_status):
        async with open_node(node_settings(listen=(url,)), services=[Echo()]) as node:
            task_status.started(node)
            await self._stop.wait()
        self._stopped.set()


async def test_without_reconnect_a_lost_link_stays_lost_and_the_block_goes_on(keyring):
    async with restarting(keyring) as running:
        async with connect(running.url, identity=ALICE_KEY) as client:
            await running.stop()
            for _ in range(2):
                with trio.fail_after(5), pytest.raises(Disconnected):
                    await client.call(Ping())
            await running.start()
            with pytest.raises(Disconnected):
                await client.call(Ping())


async def test_with_reconnect_later_calls_wait_for_the_node_to_come_back(keyring):
    async with restarting(keyring) as running:
        async with connect(running.url, identity=ALICE_KEY, reconnect=True) as client:
            assert await client.call(Say("one")) == "one"
            await running.stop()
            with pytest.raises(DeadlineExceeded):
                await client.call(Say("two"), timeout=0.05)
            async with trio.open_nursery() as nursery:

                async def ask():
                    assert await client.call(Say("three"), timeout=10) == "three"

                nursery.start_soon(ask)
                await wait_all_tasks_blocked(0.01)
                await running.start()


async def test_with_reconnect_a_worker_offers_its_services_again(keyring):
    async with restarting(keyring) as running:
        async with connect(
            running.url, identity=WORKER_KEY, services=[Echo()], reconnect=True
        ) as client:
            assert await running.node.client.call(Say("x"), node="worker-1") == "x"
            await running.stop()
            await running.start()
            await client.call(Ping(), timeout=10)
            assert await running.node.client.call(Say("y"), node="worker-1") == "y"


async def test_leaving_while_the_link_is_down_does_not_wait_for_it(keyring):
    async with restarting(keyring) as running:
        with trio.fail_after(5):
            async with connect(running.url, identity=ALICE_KEY, reconnect=True) as client:
                await running.stop()
                with trio.move_on_after(0.05):
                    await client.call(Ping())
