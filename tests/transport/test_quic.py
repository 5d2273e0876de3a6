"""QUIC: what is its own; what it shares with other transports is in tests/contract."""

import random
import socket
from contextlib import asynccontextmanager

import pytest
import trio
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicProtocolVersion
from trio.testing import wait_all_tasks_blocked

from alknet import connect, open_node
from alknet.errors import Disconnected, SettingsError, Unreachable
from alknet.transport import road
from alknet.transport.address import Address
from alknet.transport.probe import why_not_listen
from alknet.wire.limits import DEFAULT_LIMITS, Limits

from ..contract.roads import GATE, TRUST, link_over
from ..echo import Echo, Say
from ..people import ALICE_KEY, node_key, node_settings
from .aioquic_peer import PROTOCOL, aioquic_client
from .nat import nat_before

MIB = 1024 * 1024


@asynccontextmanager
async def listening(*, limits=DEFAULT_LIMITS):
    """Yield the port of a listener, and a channel of the links that it has taken."""
    arrived, arriving = trio.open_memory_channel(100)

    async def serve(link):
        await arrived.send(link)
        await trio.sleep_forever()

    async def listen(*, task_status):
        await road.listen(
            "quic://127.0.0.1:0", serve, limits=limits, gate=GATE, task_status=task_status
        )

    async with trio.open_nursery() as nursery:
        url = await nursery.start(listen)
        yield int(url.rpartition(":")[2]), arriving
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def dialled(port, *, limits=DEFAULT_LIMITS):
    async with trio.open_nursery() as nursery:
        url = f"quic://127.0.0.1:{port}"
        link = await road.dial(nursery, url, limits=limits, trust=TRUST)
        try:
            yield link
        finally:
            with trio.CancelScope(shield=True):
                await link.aclose()
            nursery.cancel_scope.cancel()


async def echoes(near, far, words=b"hello"):
    """Whether what each says to the other arrives."""
    with trio.fail_after(10):
        for sender, receiver in ((near, far), (far, near)):
            await sender.send([words])
            heard = b""
            while len(heard) < len(words):
                heard += await receiver.receive()
            assert heard == words


# Who waits for whom.


async def test_an_end_that_never_reads_costs_a_bounded_amount():
    """What the far end holds unread is its window, and what this end holds unacknowledged is too."""
    sent = 0
    async with link_over("quic") as ends, trio.open_nursery() as nursery:

        async def flood():
            nonlocal sent
            while True:
                await ends.near.send([bytes(65536)])
                sent += 65536

        nursery.start_soon(flood)
        await wait_all_tasks_blocked(0.2)
        assert sent <= 4 * MIB
        held = sent
        await wait_all_tasks_blocked(0.2)
        assert sent == held
        nursery.cancel_scope.cancel()


async def test_the_reason_for_closing_arrives():
    async with link_over("quic") as ends:
        await ends.far.aclose("the node is stopping")
        with trio.fail_after(5):
            assert await ends.near.receive() == b""
            with pytest.raises(Disconnected, match="closed it: the node is stopping"):
                while True:
                    await ends.near.send([b"x"])
                    await wait_all_tasks_blocked(0.01)


async def test_the_largest_datagram_that_the_path_carries_is_found():
    async with link_over("quic") as ends:
        for _ in range(100):
            await echoes(ends.near, ends.far, bytes(20_000))
        connection = ends.near._connection
        _, size = connection.endpoint.path(connection.number)
        assert size > 1400


# The road.


async def test_nobody_there_is_known_at_once(nursery):
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with trio.fail_after(5), pytest.raises(Unreachable, match="connection refused"):
        await road.dial(nursery, f"quic://127.0.0.1:{port}", limits=DEFAULT_LIMITS, trust=TRUST)


async def test_a_port_that_is_taken_cannot_be_listened_at():
    async with listening() as (port, _), trio.open_nursery() as nursery:
        with pytest.raises(SettingsError, match=r"cannot listen at quic://.*: address already"):
            await road.listen(f"quic://127.0.0.1:{port}", print, limits=DEFAULT_LIMITS)
        nursery.cancel_scope.cancel()


async def test_whether_a_port_could_be_listened_at_is_found_out():
    async with listening() as (port, _):
        taken = Address.parse(f"quic://127.0.0.1:{port}")
        assert "address already in use" in await why_not_listen(taken)
        # Of TCP it is another one.
        free = Address.parse(f"tls://127.0.0.1:{port}")
        assert await why_not_listen(free) is None
    assert await why_not_listen(taken) is None


async def test_a_port_may_have_the_number_of_one_of_tcp(keyring):
    async with open_node(node_settings(listen=("tls://127.0.0.1:0",)), keyring=keyring) as first:
        url = first.url.replace("tls", "quic")
        settings = node_settings(listen=(url,))
        async with (
            open_node(settings, keyring=keyring, services=[Echo()]) as node,
            connect(url, identity=ALICE_KEY, expect=node_key(keyring)) as client,
        ):
            assert node.url == url
            assert await client.call(Say("hello")) == "hello"


@pytest.mark.parametrize("host", ["[::1]", "localhost"])
async def test_a_node_listens_at_ipv6_and_at_a_name(host, keyring):
    settings = node_settings(listen=(f"quic://{host}:0",))
    async with (
        open_node(settings, keyring=keyring, services=[Echo()]) as node,
        connect(node.url, identity=ALICE_KEY, expect=node_key(keyring)) as client,
    ):
        assert await client.call(Say("hello")) == "hello"


async def test_a_node_that_listens_everywhere_answers_from_where_it_was_asked(keyring):
    settings = node_settings(listen=("quic://0.0.0.0:0",))
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        for host in ("127.0.0.1", "127.0.0.2"):
            url = node.url.replace("0.0.0.0", host)
            async with connect(url, identity=ALICE_KEY, expect=node_key(keyring)) as client:
                assert await client.call(Say(host)) == host


async def test_a_link_goes_on_when_the_address_changes():
    async with (
        listening() as (port, arriving),
        nat_before(port) as nat,
        dialled(nat.port) as near,
    ):
        far = await arriving.receive()
        await echoes(near, far)
        connection = far._connection
        before, _ = connection.endpoint.path(connection.number)
        nat.rebind()
        for _ in range(3):
            await echoes(near, far, bytes(100_000))
        after, _ = connection.endpoint.path(connection.number)
        assert before != after


async def test_a_link_that_says_nothing_stays(autojump_clock):
    autojump_clock.autojump_threshold = 0.05
    limits = Limits(silence_seconds=3)
    async with listening(limits=limits) as (port, arriving), dialled(port, limits=limits) as near:
        far = await arriving.receive()
        await trio.sleep(12)
        await echoes(near, far)


async def test_a_link_of_which_nothing_is_heard_is_gone(autojump_clock):
    autojump_clock.autojump_threshold = 0.05
    limits = Limits(silence_seconds=3)
    async with (
        listening(limits=limits) as (port, arriving),
        nat_before(port) as nat,
        dialled(nat.port, limits=limits) as near,
    ):
        far = await arriving.receive()
        await echoes(near, far)
        nat.is_blocked = True
        began = trio.current_time()
        for link in (near, far):
            with pytest.raises(Disconnected, match="nothing was heard"):
                await link.receive()
        assert trio.current_time() - began < 10


async def test_on_a_road_that_loses_a_twentieth_everything_arrives_once_and_in_order():
    async with (
        listening() as (port, arriving),
        nat_before(port) as nat,
        dialled(nat.port) as near,
    ):
        far = await arriving.receive()
        nat.loss = 0.05
        said = b"".join(b"%08d" % number for number in range(125_000))
        for sender, receiver in ((near, far), (far, near)):
            heard = b""
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sender.send, [said])
                with trio.fail_after(60):
                    while len(heard) < len(said):
                        heard += await receiver.receive()
            assert heard == said


async def test_an_interruption_that_is_shorter_is_nothing(autojump_clock):
    autojump_clock.autojump_threshold = 0.05
    async with (
        listening() as (port, arriving),
        nat_before(port) as nat,
        dialled(nat.port) as near,
    ):
        far = await arriving.receive()
        nat.is_blocked = True
        await near.send([b"said meanwhile"])
        await trio.sleep(30)
        nat.is_blocked = False
        with trio.fail_after(30):
            assert await far.receive() == b"said meanwhile"


# What strangers send.


def hello():
    """Return the first datagram of a client of aioquic."""
    quic = QuicConnection(configuration=QuicConfiguration(alpn_protocols=[PROTOCOL]))
    quic.connect(("127.0.0.1", 1), now=0.0)
    ((data, _),) = quic.datagrams_to_send(0.0)
    return data


def garbage():
    """Yield datagrams that are none of QUIC's, or not quite."""
    chance = random.Random(7)
    yield b""
    yield b"\0"
    yield b"GET / HTTP/1.1\r\n\r\n"
    for first in range(256):
        yield bytes([first]) + chance.randbytes(chance.randrange(1400))
    for _ in range(300):
        data = bytearray(hello())
        for _ in range(chance.randrange(1, 4)):
            # Most of what is behind the head is under a seal that anybody can compute and we not.
            data[chance.randrange(40)] = chance.randrange(256)
        yield bytes(data[: chance.choice([20, 100, 1199, 1200, 5000])])


async def test_what_is_none_of_quic_is_passed_over():
    async with listening() as (port, arriving):
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            for data in garbage():
                sender.sendto(data, ("127.0.0.1", port))
                await trio.lowlevel.checkpoint()
        async with dialled(port) as near:
            with trio.fail_after(5):
                far = await arriving.receive()
            await echoes(near, far)


async def test_a_client_of_an_unknown_version_is_told_which_there_are():
    async with listening() as (port, _):
        versions = [0x1A2A3A4A, QuicProtocolVersion.VERSION_1]
        async with aioquic_client(port, versions=versions) as end:
            assert end.termination is None
            assert end.quic._version == QuicProtocolVersion.VERSION_1


async def test_while_many_knock_and_say_no_more_others_still_come_in():
    """They must show first that they are where they say (RFC 9000, section 8.1.2)."""
    async with listening() as (port, arriving):
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            for _ in range(50):
                sender.sendto(hello(), ("127.0.0.1", port))
                await wait_all_tasks_blocked()
            async with dialled(port) as near:
                with trio.fail_after(5):
                    far = await arriving.receive()
                await echoes(near, far)
            async with aioquic_client(port) as end:
                assert end.termination is None
                assert end.quic._retry_count == 1


async def test_who_connects_and_says_no_more_is_not_waited_for(autojump_clock):
    autojump_clock.autojump_threshold = 0.05
    async with (
        listening(limits=Limits(handshake_seconds=3)) as (port, _),
        aioquic_client(port) as end,
    ):
        with trio.fail_after(20):
            await end.closed.wait()
        assert end.termination.reason_phrase == "no link was begun within 3 s"


async def test_streams_that_nobody_reads_cost_a_bounded_amount():
    async with listening() as (port, _), aioquic_client(port) as end:
        for _ in range(20):
            await end.open().send_all(b"\0" + bytes(MIB))
        await wait_all_tasks_blocked(0.3)
        waiting = sum(len(stream.sender._buffer) for stream in end.quic._streams.values())
        assert waiting > 14 * MIB
        assert end.termination is None
