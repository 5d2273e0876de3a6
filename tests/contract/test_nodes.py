"""What two nodes do over every road: who one is, being cut off, coming back."""

from contextlib import asynccontextmanager

import pytest
import trio

from alknet import connect, open_node
from alknet.errors import Refused
from alknet.protocol.directory import ListPeers
from alknet.testing import road_to

from ..echo import Count, Echo, Say
from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, node_key, node_settings
from .roads import url_of

NODE_ROADS = ["memory", "tcp", "tls", "quic", "ssh", "ws", "wss", "dns"]


@pytest.fixture(params=NODE_ROADS)
async def road(request, keyring):
    """A node at the end of the road, and how to connect to it."""
    expect = node_key(keyring)
    listen = () if request.param == "memory" else (url_of(request.param),)
    async with open_node(node_settings(listen=listen), keyring=keyring, services=[Echo()]) as node:

        @asynccontextmanager
        async def connected(key, **options):
            if request.param == "memory":
                options["dial"] = road_to(node)
            url = node.url or "memory:"
            async with connect(url, identity=key, expect=expect, **options) as client:
                yield client

        yield node, connected


async def test_the_node_knows_who_has_connected(road):
    _, connected = road
    async with connected(WORKER_KEY, services=[Echo()]), connected(ALICE_KEY) as alice:
        names = {peer.peer_id for peer in (await alice.call(ListPeers())).peers}
        assert {"alice", "worker-1"} <= names
        assert await alice.call(Say("hi"), node="worker-1") == "hi"


async def test_a_stranger_hears_why_he_is_refused(road):
    _, connected = road
    with pytest.raises(Refused, match="is not listed here"):
        async with connected(STRANGER_KEY):
            pass


async def test_a_link_that_is_lost_is_opened_again_and_nobody_notices(road):
    node, connected = road
    async with connected(ALICE_KEY, reconnect=True) as alice:
        for number in range(3):
            assert await alice.call(Say(f"hello {number}")) == f"hello {number}"
            lost, (session,) = alice.session, node.sessions
            session.cancel("the test cuts it")
            # A call that is in flight then is not sent again; the next one waits for the new link.
            await lost.closed()
        with trio.fail_after(10):
            assert await alice.call(Say("and again")) == "and again"
            async with alice.stream(Count(100)) as items:
                assert [item async for item in items] == list(range(100))
