"""kill -9, in mid call: the others go on, and whoever waits is told at once."""

import pytest
import trio

from alknet import connect, open_node
from alknet.errors import DeadlineExceeded, Disconnected, NotFound, Unavailable
from alknet.protocol.directory import ListPeers, Ping

from ..echo import Count, Echo, Hold, Keep, Say, Ticks
from ..people import ALICE_KEY, node_settings
from .processes import running


@pytest.fixture(params=["ws", "tcp"])
async def head(request, keyring):
    settings = node_settings(listen=(f"{request.param}://127.0.0.1:0",))
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        yield node


async def test_a_worker_killed_in_mid_call_fails_its_callers_and_nobody_else(head):
    failures = []

    async def ask(client, request):
        with pytest.raises(Unavailable) as caught:
            await client.call(request, node="worker-1")
        assert not caught.value.retryable, "whether it was carried out is not known"
        failures.append(caught.value)

    async def watch(client):
        with pytest.raises(Unavailable):
            async with client.stream(Ticks(), node="worker-1") as items:
                async for _ in items:
                    pass
        failures.append("stream")

    async with running("worker", head.url) as worker:
        assert await worker.line() == "ready"
        async with connect(head.url, identity=ALICE_KEY) as alice:
            assert await alice.call(Say("up"), node="worker-1") == "up"
            async with trio.open_nursery() as nursery:
                for client in (alice, head.client):
                    nursery.start_soon(ask, client, Keep())
                    nursery.start_soon(ask, client, Hold())
                    nursery.start_soon(watch, client)
                with trio.fail_after(10):
                    while len((await alice.invoke("/head/services/peers"))["peers"]) < 2:
                        pass
                # What has begun over there, this tells: the worker serves its requests in order.
                async with alice.stream(Count(3), node="worker-1") as items:
                    assert [item async for item in items] == [0, 1, 2]
                await worker.kill()
                with trio.fail_after(5):
                    while len(failures) < 6:
                        assert await alice.call(Say("still here")) == "still here"

            assert await alice.call(Ping())
            with pytest.raises(NotFound, match="no peer called 'worker-1' is connected"):
                await alice.call(Say("x"), node="worker-1")
            assert [peer.peer_id for peer in (await alice.call(ListPeers())).peers] == ["alice"]


async def test_a_worker_that_comes_back_is_called_again(head):
    for _ in range(2):
        async with running("worker", head.url) as worker:
            assert await worker.line() == "ready"
            assert await head.client.call(Say("hi"), node="worker-1") == "hi"
            await worker.kill()
            with trio.fail_after(5):
                while (await head.client.call(ListPeers())).peers:
                    await trio.lowlevel.checkpoint()


async def test_a_worker_that_is_frozen_costs_its_callers_their_timeout_and_nobody_else(head):
    async with running("worker", head.url) as worker:
        assert await worker.line() == "ready"
        async with connect(head.url, identity=ALICE_KEY) as alice:
            await worker.stop()
            with trio.fail_after(5), pytest.raises(DeadlineExceeded):
                await alice.call(Say("x"), node="worker-1", timeout=0.2)
            assert await alice.call(Say("still here")) == "still here"


async def test_a_head_that_is_killed_leaves_its_worker_with_disconnected():
    async with running("head") as head:
        url = await head.line()
        async with running("worker", url) as worker:
            assert await worker.line() == "ready"
            async with connect(url, identity=ALICE_KEY) as client:
                assert await client.call(Ping())
                await head.kill()
                with trio.fail_after(5):
                    with pytest.raises(Disconnected):
                        await client.call(Ping())
                    assert await worker.line() == "the head is gone"
                    assert await worker.wait() == 0
