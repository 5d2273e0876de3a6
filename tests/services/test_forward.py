"""ForwardService: bytes both ways between a caller here and a target that a node can reach."""

import hashlib
import os
from contextlib import asynccontextmanager

import pytest
import trio
from structlog.testing import capture_logs

from alknet import connect, open_node
from alknet.errors import Forbidden, InvalidInput, SettingsError, Unavailable
from alknet.forwarding.local import open_forward
from alknet.forwarding.tunnel import open_tunnel
from alknet.protocol.config import ReloadForwarding
from alknet.protocol.directory import ListOperations, Ping
from alknet.protocol.forward import CHUNK_BYTES, ForwardLimits, OpenForward
from alknet.protocol.forwarding import ForwardingPolicy, ForwardingRule
from alknet.services.config import ConfigSettings
from alknet.testing import road_to
from alknet.transport.connection import Connection

from ..forwarding.targets import LOOPBACKS, Noted, a_closed_port, echo, everything, hold, target
from ..people import ALICE_KEY, WORKER_KEY, node_key, node_settings

MIB = 1024 * 1024
LOOPBACK_ONLY = ForwardingPolicy(
    "deny",
    (ForwardingRule("127.0.0.0/8:*", "allow"), ForwardingRule("[::1]:*", "allow")),
)


def forwarding_settings(policy=LOOPBACK_ONLY, **options):
    settings = node_settings(**options)
    settings.services["config"] = ConfigSettings(policy)
    settings.services["forward"] = ForwardLimits()
    return settings


@pytest.fixture
async def node(keyring):
    async with open_node(forwarding_settings(), keyring=keyring) as node:
        yield node


@pytest.fixture
async def client(node):
    async with connect(node.url, identity=ALICE_KEY, format="msgpack") as client:
        yield client


@asynccontextmanager
async def dialled(where):
    """Connect to the local port at *where*."""
    host, _, port = where.rpartition(":")
    stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
    async with stream:
        yield Connection(stream)


async def is_reset(connection):
    """Whether the connection ends in a reset, after whatever comes."""
    with trio.fail_after(10):
        try:
            await everything(connection.receive)
        except trio.BrokenResourceError:
            return True
    return False


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_64_mib_come_back_as_they_went(client, host):
    block = os.urandom(MIB)
    sent, came = hashlib.sha256(), hashlib.sha256()
    async with target(echo, host) as port, open_forward(client, host, port, bind=host) as where:
        async with dialled(where) as local, trio.open_nursery() as nursery:

            async def send():
                for _ in range(64):
                    sent.update(block)
                    await local.send(block)
                await local.send_eof()

            nursery.start_soon(send)
            while data := await local.receive():
                came.update(data)

    assert local.received == 64 * MIB
    assert came.digest() == sent.digest()


async def test_who_sends_no_more_still_hears_the_rest(client):
    async def answer_at_the_end(stream):
        asked = await everything(stream.receive_some)
        for _ in range(100):
            await stream.send_all(asked * 100)

    async with target(answer_at_the_end) as port, open_forward(client, "127.0.0.1", port) as where:
        async with dialled(where) as local:
            await local.send(b"question")
            await local.send_eof()
            assert await everything(local.receive) == b"question" * 10_000


async def test_a_target_that_sends_no_more_is_still_sent_to(client):
    noted = Noted()

    async def say_and_listen(stream):
        await stream.send_all(b"that is all")
        await stream.send_eof()
        await noted(stream)

    async with target(say_and_listen) as port, open_forward(client, "127.0.0.1", port) as where:
        async with dialled(where) as local:
            assert await everything(local.receive) == b"that is all"
            await local.send(b"x" * MIB)
            await local.send_eof()
            await noted.ended()
    assert noted.got == b"x" * MIB


async def sent_until_it_waits(local):
    """Send without an end, until nothing has gone for a while; return how much has."""
    with trio.move_on_after(30):
        async with trio.open_nursery() as nursery:

            async def flood():
                while True:
                    await local.send(bytes(CHUNK_BYTES))

            nursery.start_soon(flood)
            before = -1
            while before != local.sent:
                before = local.sent
                await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
    return local.sent


async def test_a_target_that_does_not_read_is_not_sent_to(client):
    """The node holds a window of chunks, 4 MiB; the rest is in hand, and in the kernel's buffers."""
    async with target(hold) as port:
        async with open_forward(client, "127.0.0.1", port) as where, dialled(where) as local:
            assert await sent_until_it_waits(local) < 8 * MIB


async def test_a_caller_that_does_not_read_is_not_sent_to(client):
    sent = 0

    async def flood(stream):
        nonlocal sent
        while True:
            await stream.send_all(bytes(CHUNK_BYTES))
            sent += CHUNK_BYTES

    async with target(flood) as port, open_tunnel(client, "127.0.0.1", port) as tunnel:
        await tunnel.receive()
        before = -1
        while before != sent:
            before = sent
            await trio.sleep(0.5)
    # What lies in the two buffers of the kernel, at most 4 + 6 MiB as Linux comes, and the window.
    assert sent < 10 * MIB + 66 * CHUNK_BYTES


async def test_what_the_policy_denies_is_reset_and_the_rule_is_said(node, client):
    with capture_logs() as lines:
        async with open_forward(client, "10.0.0.1", 22) as where, dialled(where) as local:
            assert await is_reset(local)
        with pytest.raises(Forbidden, match="no rule matches"):
            async with open_tunnel(client, "10.0.0.1", 22):
                pass

    whys = {line["event"]: line["why"] for line in lines}
    assert whys["forward attempt"] == whys["connection not forwarded"]
    assert "no rule matches 10.0.0.1:22, and the default is deny" in whys["forward attempt"]


async def test_a_policy_that_is_replaced_ends_what_it_denies(node, client):
    async with target(echo) as port, open_forward(client, "127.0.0.1", port) as where:
        async with dialled(where) as local:
            await local.send(b"x")
            assert await local.receive() == b"x"
            await node.client.call(ReloadForwarding(ForwardingPolicy()))
            assert await is_reset(local)


async def test_a_target_that_refuses_or_cuts_is_passed_on_as_a_reset(client):
    async def cut(stream):
        await stream.receive_some()
        Connection(stream).cut()

    async with target(cut) as port, open_forward(client, "127.0.0.1", port) as where:
        async with dialled(where) as local:
            await local.send(b"x")
            assert await is_reset(local)
        async with open_tunnel(client, "127.0.0.1", port) as tunnel:
            await tunnel.send(b"x")
            with pytest.raises(Unavailable, match="has cut the connection") as caught:
                await tunnel.receive()
            assert caught.value.details == {"reason": "cut"}

    async with open_forward(client, "127.0.0.1", await a_closed_port()) as where:
        async with dialled(where) as local:
            assert await is_reset(local)


@pytest.mark.parametrize("how", ["cancelled", "left", "local"])
async def test_a_caller_that_leaves_in_the_middle_is_a_reset_to_the_target(node, client, how):
    noted = Noted()
    caller = node.client if how == "local" else client
    async with target(noted) as port:
        with trio.CancelScope() as scope:
            async with open_tunnel(caller, "127.0.0.1", port) as tunnel:
                await tunnel.send(b"half of it")
                if how == "cancelled":
                    scope.cancel()
                    await trio.lowlevel.checkpoint()
        await noted.ended()
    assert noted.got is None


async def test_a_link_that_is_lost_resets_what_it_carried_and_carries_again(node):
    async with target(echo) as port:
        async with (
            connect(node.url, identity=ALICE_KEY, reconnect=True) as client,
            open_forward(client, "127.0.0.1", port) as where,
        ):
            async with dialled(where) as local:
                await local.send(b"x")
                assert await local.receive() == b"x"
                [session] = node.sessions
                lost = client.session
                session.cancel("the test cuts it")
                assert await is_reset(local)
            await lost.closed()
            with pytest.raises(Unavailable, match="is being dialled again"):
                async with open_tunnel(client, "127.0.0.1", port):
                    pass
            # A call waits for the link.
            await client.call(Ping())
            async with dialled(where) as local:
                await local.send(b"again")
                assert await local.receive() == b"again"


async def test_a_node_that_stops_ends_what_it_carries_at_once(keyring):
    stop, stopped = trio.Event(), trio.Event()

    async def run(*, task_status):
        async with open_node(forwarding_settings(drain=60.0), keyring=keyring) as node:
            task_status.started(node)
            await stop.wait()
        stopped.set()

    async with trio.open_nursery() as nursery, target(hold) as port:
        node = await nursery.start(run)
        async with (
            connect(node.url, identity=ALICE_KEY) as client,
            open_tunnel(client, "127.0.0.1", port) as tunnel,
        ):
            stop.set()
            with trio.fail_after(10):
                await stopped.wait()
            with pytest.raises(Unavailable, match="'forward' is"):
                await tunnel.receive()


async def test_a_peer_of_the_node_may_be_the_one_that_connects(keyring, node, client):
    """As `alknet forward --via worker-1`: the policy that decides is that of the worker."""
    policy = ForwardingPolicy("allow")
    settings = forwarding_settings(policy, listen=(), name="worker-1")
    async with (
        open_node(settings) as worker,
        connect(node.url, identity=WORKER_KEY, node=worker.dispatcher),
        target(echo) as port,
        open_tunnel(client, "127.0.0.1", port, node="worker-1") as tunnel,
    ):
        await tunnel.send(b"through both")
        await tunnel.send_eof()
        assert await everything(tunnel.receive) == b"through both"
        await tunnel.finished()


@pytest.mark.parametrize("road", ["memory", "tcp", "tls", "ws", "wss", "quic"])
async def test_a_rule_can_ask_for_the_road(keyring, road):
    policy = ForwardingPolicy("deny", (ForwardingRule("*:*", "allow", transports=(road,)),))
    listen = () if road == "memory" else (f"{road}://127.0.0.1:0",)
    async with open_node(forwarding_settings(policy, listen=listen), keyring=keyring) as node:
        options = {"dial": road_to(node)} if road == "memory" else {}
        url = node.url or "memory:"
        async with (
            connect(url, identity=ALICE_KEY, expect=node_key(keyring), **options) as client,
            target(echo) as port,
            open_tunnel(client, "127.0.0.1", port) as tunnel,
        ):
            await tunnel.send(b"x")
            assert await tunnel.receive() == b"x"


async def test_who_lacks_the_scope_may_not_and_does_not_see_it(node):
    async with connect(node.url, identity=WORKER_KEY) as worker:
        with pytest.raises(Forbidden, match="'forward:open' is missing"):
            async with open_tunnel(worker, "127.0.0.1", 1):
                pass
        listed = await worker.call(ListOperations())
    assert "forward/open" not in {each.name for each in listed.operations}


async def test_a_chunk_beyond_the_largest_is_refused(client):
    async with target(hold) as port:
        async with client.duplex(OpenForward("127.0.0.1", port)) as stream:
            await anext(stream)
            await stream.send(bytes(CHUNK_BYTES + 1))
            with pytest.raises(InvalidInput, match="length <= 65536"):
                await anext(stream)


async def test_a_port_that_is_taken_is_said(client):
    async with target(hold) as port:
        with pytest.raises(SettingsError, match=f"cannot listen at 127.0.0.1:{port}"):
            async with open_forward(client, "db", 1, bind_port=port):
                pass
