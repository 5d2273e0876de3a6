"""A head hears how its workers fare, and tells whoever asks."""

import pytest
import trio

from alknet import NodeSettings, Settings
from alknet._core import __version__
from alknet.errors import Forbidden, NotFound
from alknet.protocol.directory import ListPeers
from alknet.protocol.worker import Heartbeats
from alknet.services.worker import WorkerSettings
from alknet.testing import connected, node
from alknet.worker import Pulse

from ..echo import Echo, Hold


@pytest.fixture
async def head():
    settings = Settings(services={"worker": WorkerSettings(interval=0.05)})
    async with node(settings=settings) as head:
        yield head


async def take(stream, count):
    with trio.fail_after(10):
        return [await anext(stream) for _ in range(count)]


async def test_a_worker_tells_of_itself_and_of_the_calls_that_it_answers(head):
    echo = Echo()
    async with (
        connected(head, name="w", services=[echo, Pulse()]),
        head.client.stream(Heartbeats(interval=0.05), node="w") as beats,
        trio.open_nursery() as nursery,
    ):
        (first,) = await take(beats, 1)
        assert first.node == "w"
        assert first.version == __version__
        assert first.load >= 0
        assert first.cpus >= 1
        assert first.memory_bytes > 1_000_000
        # The head's own question is one of them.
        asked = first.in_flight

        async def hold():
            await head.client.call(Hold(), node="w")

        nursery.start_soon(hold)
        await echo.has_begun()
        with trio.fail_after(10):
            while (beat := await anext(beats)).in_flight <= asked:
                pass
        assert beat.time >= first.time
        assert beat.uptime > first.uptime
        echo.let_go.set()


@pytest.mark.parametrize("path", ["/worker/heartbeat", "/head/worker/heartbeat"])
async def test_a_head_tells_of_all_its_workers(head, path):
    async with (
        connected(head, name="a", services=[Pulse()]),
        connected(head, name="b", services=[Pulse()]),
        connected(head, name="asker", scopes=["worker:read"]) as asker,
        asker.invoke_stream(path) as beats,
    ):
        seen = set()
        with trio.fail_after(10):
            while seen < {"a", "b"}:
                seen.add((await anext(beats))["node"])
        async with asker.invoke_stream(path, {"worker": "b"}) as of_b:
            assert {each["node"] for each in await take(of_b, 3)} == {"b"}


async def test_a_heartbeat_is_filed_under_the_link_it_came_by(head):
    """Whatever the worker calls itself."""

    class Liar(Pulse, namespace="worker"):
        pass

    async with (
        connected(head, name="w", services=[Liar()]),
        head.client.stream(Heartbeats()) as beats,
    ):
        (heard,) = await take(beats, 1)
    assert heard.node == "w"


async def test_the_peers_are_listed_with_what_was_heard_from_them_last(head):
    async with (
        connected(head, name="w", services=[Pulse()]),
        connected(head, name="quiet", services=[Echo()]),
        head.client.stream(Heartbeats()) as beats,
    ):
        await take(beats, 1)
        peers = {each.peer_id: each for each in (await head.client.call(ListPeers())).peers}
        assert peers["w"].heartbeat.node == "w"
        assert abs(peers["w"].heard_at - peers["w"].heartbeat.time) < 5
        assert (peers["quiet"].heartbeat, peers["quiet"].heard_at) == (None, None)


async def test_a_worker_that_goes_is_forgotten_and_one_that_comes_back_is_followed(head):
    async with head.client.stream(Heartbeats()) as beats:
        for _ in range(2):
            async with connected(head, name="w", services=[Pulse()]):
                with trio.fail_after(10):
                    await anext(beats)
            with trio.fail_after(10):
                while (await head.client.call(ListPeers())).peers:
                    await trio.lowlevel.checkpoint()
        with trio.move_on_after(0.2) as silence:
            while True:
                await anext(beats)
        assert silence.cancelled_caught


async def test_heartbeats_need_a_scope_and_a_worker_that_has_a_pulse(head):
    async with (
        connected(head, name="nobody", scopes=[]) as nobody,
        connected(head, name="w", services=[Echo()]),
    ):
        with pytest.raises(Forbidden, match="worker:read"):
            async with nobody.stream(Heartbeats()) as beats:
                await take(beats, 1)
        with pytest.raises(NotFound, match="no operation 'w/worker/heartbeat'"):
            async with nobody.invoke_stream("/w/worker/heartbeat") as beats:
                await take(beats, 1)


async def test_a_peer_called_worker_is_called_by_its_name(head):
    """`/worker/...` is the head's own only while nobody is called that."""
    assert head.dispatcher.split("/worker/echo/say") == (None, "echo/say")
    async with connected(head, name="worker", services=[Echo()]) as peer:
        assert head.dispatcher.split("/worker/echo/say") == ("worker", "echo/say")
        assert head.dispatcher.split("/worker/heartbeat") == (None, "worker/heartbeat")
        assert await peer.invoke("/worker/echo/say", {"text": "hi"}) == "hi"


async def test_a_node_that_is_called_worker_has_heartbeats_too():
    settings = Settings(node=NodeSettings(name="worker"), services={"worker": WorkerSettings()})
    async with node(settings=settings) as head:
        for path in ("/worker/heartbeat", "/worker/worker/heartbeat", "/head/worker/heartbeat"):
            assert head.dispatcher.split(path) == (None, "worker/heartbeat")
