"""Heartbeat: a link whose far end is gone without a word is found out in time, and no other is."""

from contextlib import asynccontextmanager, suppress

import pytest
import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import open_node
from alknet._core.envelope import LinkPing
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.errors import Disconnected
from alknet.services.auth.keyset import Peer
from alknet.testing import FaultyLink, memory_pair
from alknet.wire.limits import Limits

from ..contract.plain import plain_client, private_key
from ..echo import Echo, Hold, Say, Ticks
from ..linked import facing, running
from ..people import node_settings

SILENCE = 10.0
LIMITS = Limits(silence_seconds=SILENCE)


@asynccontextmanager
async def across(dispatcher, *, near_limits=LIMITS, far_limits=LIMITS, pings=(True, True)):
    """Yield two sessions and the link between them, which can be silenced."""
    one, other = memory_pair()
    road = FaultyLink(one)
    road.answers_pings, other.answers_pings = pings
    near = Session(road, identity=None, is_dialled=True, limits=near_limits)
    far = Session(other, identity=None, dispatcher=dispatcher, limits=far_limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(near.run)
        await nursery.start(far.run)
        yield near, far, road
        nursery.cancel_scope.cancel()


async def test_a_half_open_link_is_found_out_by_both_ends_in_time(autojump_clock):
    echo = Echo()
    async with running(echo) as dispatcher, across(dispatcher) as (near, far, road):
        client, failed_at = RemoteClient(near, timeout=1000), []

        async def ask(request):
            with pytest.raises(Disconnected, match="nothing was heard of the peer for 10 s"):
                await client.call(request)
            failed_at.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, Hold())
            await echo.has_begun()
            await trio.sleep(3 * SILENCE)
            assert await client.call(Say("all is well so far")) == "all is well so far"
            road.silence()
            began = trio.current_time()
        await near.closed()
        await far.closed()

        assert 0 < failed_at[0] - began <= SILENCE
        assert trio.current_time() - began <= SILENCE
        assert echo.active == 0, "what was being answered has been cancelled"


@pytest.mark.parametrize("seconds", [(10, 10), (10, 300), (300, 10)])
async def test_a_link_on_which_nothing_happens_stays(seconds, autojump_clock):
    """Whatever each end has set for itself."""
    near_limits, far_limits = (Limits(silence_seconds=each) for each in seconds)
    async with running(Echo()) as dispatcher:
        async with across(dispatcher, near_limits=near_limits, far_limits=far_limits) as ends:
            near, far, _ = ends
            await trio.sleep(5000)

            assert await RemoteClient(near).call(Say("still here")) == "still here"
            assert not far.is_closed


async def test_a_stream_on_which_nothing_comes_stays(autojump_clock):
    async with running(Echo()) as dispatcher, across(dispatcher) as (near, _, _):
        async with RemoteClient(near).stream(Ticks()) as items:
            assert await anext(items) == 0
            with trio.move_on_after(5000) as patience:
                await anext(items)

            assert patience.cancelled_caught


async def test_a_peer_that_has_not_agreed_is_asked_nothing_and_not_judged(autojump_clock):
    async with facing(limits=LIMITS) as (session, peer):
        with trio.move_on_after(5000) as nothing:
            await peer.hear()

        assert nothing.cancelled_caught
        assert not session.is_closed


async def test_a_peer_that_has_agreed_is_asked_before_it_is_judged(autojump_clock):
    async with facing(limits=LIMITS) as (session, peer):
        session.link.answers_pings = True
        began = trio.current_time()
        asked = []
        with suppress(EOFError):
            while True:
                asked.append(await peer.hear())
        await session.closed()

        assert len(asked) >= 3
        assert {type(each) for each in asked} == {LinkPing}
        assert trio.current_time() - began <= SILENCE


async def test_any_sign_of_life_will_do(autojump_clock):
    async with facing(limits=LIMITS) as (session, peer):
        session.link.answers_pings = True
        for _ in range(20):
            await trio.sleep(SILENCE / 2)
            peer.encoder.completed("never asked")
            await peer.send()

        assert not session.is_closed


async def test_a_busy_link_carries_no_pings(autojump_clock):
    """Both ends hear enough of each other as it is."""
    async with running(Echo()) as dispatcher, across(dispatcher) as (near, far, _):
        pinged = []
        for session in (near, far):
            session._takes[LinkPing] = pinged.append
        client = RemoteClient(near)
        for _ in range(100):
            await client.call(Say("x"))
            await trio.sleep(SILENCE / 8)

    assert pinged == []


# Clients that are not ours.

PRIVATE, LISTED = private_key()


@pytest.fixture
async def node(keyring):
    settings = node_settings(
        Peer("plain", (LISTED,), frozenset({"*"})), limits=Limits(silence_seconds=0.5)
    )
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        yield node


async def test_a_plain_client_needs_no_more_than_a_websocket_does(node):
    """Every WebSocket answers pings of the WebSocket's own."""
    async with plain_client(node.url, PRIVATE) as client:
        with trio.move_on_after(1.5) as quiet:
            await client.hear()
        assert quiet.cancelled_caught, "no link.ping came, and no goodbye"
        await client.send("call.requested", "1", operationId="/echo/say", input={"text": "hi"})

        assert (await client.hear())["payload"] == {"output": "hi"}


async def test_a_plain_client_that_is_gone_without_a_word_is_found_out(node):
    with structlog.testing.capture_logs() as logs:
        async with plain_client(node.url, PRIVATE, is_rude=True) as client:
            # Its reader stops: what arrives stays in the socket, as at a machine that is off.
            client.socket._reader_running = False
            await client.send("link.ping", "the last word")
            began = trio.current_time()
            with trio.fail_after(5):
                while node.sessions:
                    await wait_all_tasks_blocked(0.01)
            assert trio.current_time() - began < 3, "half a second, and two to say goodbye in"

    assert "connection closed" in [line["event"] for line in logs]
