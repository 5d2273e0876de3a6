"""A node at several URLs, and clients that choose among them and move from one to another."""

from functools import partial

import pytest
import trio

from alknet import connect, open_node
from alknet.errors import Refused, Unreachable
from alknet.keys import Keyring
from alknet.protocol.directory import ListPeers
from alknet.transport import road
from alknet.transport.trust import Trust

from .contract.roads import url_of
from .echo import Count, Echo, Say
from .people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, node_key, node_settings

SCHEMES = ("tls", "wss", "tcp", "ws", "quic", "ssh", "dns")


@pytest.fixture
async def node(keyring):
    """A node at a URL of each scheme at once."""
    listen = tuple(map(url_of, SCHEMES))
    async with open_node(node_settings(listen=listen), keyring=keyring, services=[Echo()]) as node:
        assert [url.partition(":")[0] for url in node.urls] == list(SCHEMES)
        yield node


@pytest.fixture
def pin(keyring):
    return node_key(keyring)


@pytest.fixture
async def nowhere():
    """A URL at which nobody listens."""
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"tcp://127.0.0.1:{port}"


async def test_all_of_them_are_the_same_node_at_the_same_time(node, pin):
    said = {}

    async def call(url):
        async with connect(url, identity=ALICE_KEY, expect=pin) as client:
            said[url] = await client.call(Say("hi"))

    async with trio.open_nursery() as nursery:
        for url in node.urls:
            nursery.start_soon(call, url)

    assert said == dict.fromkeys(node.urls, "hi")


async def test_the_first_that_leads_there_is_taken(node, pin, nowhere):
    async with connect([nowhere, *node.urls], identity=ALICE_KEY, expect=pin) as client:
        assert await client.call(Say("hi")) == "hi"
        assert client.session.link.peer_address == node.urls[0].removeprefix("tls://")


async def test_a_silent_address_holds_nobody_up(node, pin, nursery):
    async def say_nothing(_):
        await trio.sleep_forever()

    listeners = await nursery.start(partial(trio.serve_tcp, say_nothing, 0, host="127.0.0.1"))
    silent = f"tls://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    with trio.fail_after(5):
        async with connect([silent, node.urls[0]], identity=ALICE_KEY, expect=pin) as client:
            assert await client.call(Say("hi")) == "hi"


async def test_another_node_at_the_first_url_is_passed_over(node, pin, keyring):
    """The certificate is not believed, or, without one, the key inside is another."""
    other = Keyring.from_seed(bytes(32))
    listen = ("tls://127.0.0.1:0", "tcp://127.0.0.1:0")
    async with open_node(node_settings(listen=listen), keyring=other, services=[]) as impostor:
        urls = [*impostor.urls, node.urls[2]]
        async with connect(urls, identity=ALICE_KEY, expect=pin) as client:
            assert await client.call(Say("hi")) == "hi"
        with pytest.raises(Refused, match="another node"):
            async with connect(impostor.urls, identity=ALICE_KEY, expect=pin):
                pass


async def test_who_is_refused_everywhere_hears_why(node, pin, nowhere):
    with pytest.raises(Refused, match="is not listed here"):
        async with connect([nowhere, *node.urls], identity=STRANGER_KEY, expect=pin):
            pass


async def test_when_nothing_leads_there_each_way_is_named(nowhere):
    urls = [nowhere, nowhere.replace("tcp", "ws")]
    with pytest.raises(Unreachable, match="none of these leads to the node") as caught:
        async with connect(urls, identity=ALICE_KEY):
            pass
    assert all(f"cannot reach {url}: connection refused" in str(caught.value) for url in urls)


async def test_a_worker_that_loses_its_way_takes_another_and_callers_see_no_difference(node, pin):
    """The first way is closed for good: the worker comes back by the second, as the same peer."""
    closed, used = set(), []
    trust = Trust.of(WORKER_KEY, pin)

    async def dial(nursery, url, *, limits, format="json"):
        if url in closed:
            raise Unreachable(f"the way to {url} is closed")
        used.append(url.partition(":")[0])
        return await road.dial(nursery, url, limits=limits, format=format, trust=trust)

    async with (
        connect(node.urls[2], identity=ALICE_KEY) as alice,
        connect(
            node.urls,
            identity=WORKER_KEY,
            expect=pin,
            services=[Echo()],
            reconnect=True,
            dial=dial,
        ) as worker,
    ):
        for moves, scheme in enumerate(SCHEMES):
            assert used[-1] == scheme
            peers = {peer.peer_id for peer in (await alice.call(ListPeers())).peers}
            assert peers == {"alice", "worker-1"}
            assert await alice.call(Say(f"by {scheme}"), node="worker-1") == f"by {scheme}"
            async with alice.stream(Count(10), node="worker-1") as items:
                assert [item async for item in items] == list(range(10))
            if moves == len(SCHEMES) - 1:
                break
            closed.add(node.urls[moves])
            lost = worker.session
            next(s for s in node.sessions if s.peer == "worker-1").cancel("the way is closed")
            await lost.closed()
            with trio.fail_after(10):
                # It waits for the new link.
                assert await worker.call(Say("anybody there")) == "anybody there"
