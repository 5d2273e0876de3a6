"""SSH when it is used hard: keys anew, peers that stall, nodes that stop."""

import hashlib
import os

import psutil
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import connect, open_node
from alknet.errors import CallError, Disconnected
from alknet.transport.ssh import paced
from alknet.wire.limits import MIB, Limits

from ..contract.roads import link_over
from ..echo import Echo, Hold
from ..people import ALICE_KEY, node_key, node_settings

SSH = ("ssh://127.0.0.1:0",)


async def test_both_ends_exchange_keys_anew_in_the_middle_of_a_transfer(monkeypatch):
    monkeypatch.setattr(paced, "REKEY_BYTES", 256 * 1024)
    block = os.urandom(64 * 1024)
    async with link_over("ssh") as ends:
        before = exchanges(ends.near)

        async def send(link):
            for _ in range(128):
                await link.send([block])

        async def receive(link):
            heard, left = hashlib.sha256(), 128 * len(block)
            while left:
                data = await link.receive()
                heard.update(data)
                left -= len(data)
            assert heard.digest() == hashlib.sha256(block * 128).digest()

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for link in (ends.near, ends.far):
                    nursery.start_soon(send, link)
                    nursery.start_soon(receive, link)
        assert exchanges(ends.near) != before


def exchanges(link):
    """Return what changes with each key exchange, the count of bytes since the last aside."""
    connection = link._channel._connection
    return connection._recv_encryption, connection._send_encryption


@pytest.mark.parametrize("way", [0, 1], ids=["out", "back"])
async def test_a_peer_that_opens_a_wide_window_and_reads_nothing_costs_no_memory(monkeypatch, way):
    """What a channel may be sent is for its peer to say; what is queued for it is not."""
    for module in ("client", "visitor"):
        monkeypatch.setattr(f"alknet.transport.ssh.{module}.WINDOW_BYTES", 1024 * MIB)
    async with link_over("ssh") as ends:
        sender, receiver = ends.both[way]
        transport = receiver._channel._connection._transport
        receiver._channel._engine.soon(transport.pause_reading)
        before = psutil.Process().memory_info().rss

        assert await taken_from(sender) < 16 * MIB
        assert psutil.Process().memory_info().rss - before < 64 * MIB


async def test_a_peer_that_stalls_in_a_key_exchange_costs_no_memory(monkeypatch):
    for module in ("client", "visitor"):
        monkeypatch.setattr(f"alknet.transport.ssh.{module}.WINDOW_BYTES", 1024 * MIB)
    async with link_over("ssh") as ends:
        connection = ends.near._channel._connection
        # A key exchange has begun, and its answer never comes.
        ends.far._channel._engine.soon(ends.far._channel._connection._transport.pause_reading)
        ends.near._channel._engine.soon(connection._send_kexinit)

        assert await taken_from(ends.near) < 4 * MIB


@pytest.mark.parametrize("way", [0, 1], ids=["out", "back"])
async def test_a_peer_that_is_gone_without_a_word_is_found_out(way):
    async with link_over("ssh", limits=Limits(silence_seconds=0.5)) as ends:
        sender, receiver = ends.both[way]
        receiver._channel._connection._transport.pause_reading()
        receiver._channel._connection._cancel_keepalive_timer()

        with trio.fail_after(5), pytest.raises(Disconnected, match="not responding to keepalive"):
            await sender.receive()


async def test_a_peer_that_only_listens_is_not_taken_for_gone():
    async with link_over("ssh", limits=Limits(silence_seconds=0.3)) as ends:
        with trio.move_on_after(1.0):
            await ends.near.receive()
            raise AssertionError("it was cut")
        await ends.near.send([b"still here"])
        assert await ends.far.receive() == b"still here"


async def taken_from(sender):
    """Return how much *sender* takes before it makes who sends wait."""
    sent = 0

    async def flood():
        nonlocal sent
        for _ in range(256):
            await sender.send([bytes(MIB)])
            sent += MIB

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        await wait_all_tasks_blocked(0.05)
        nursery.cancel_scope.cancel()
    return sent


async def test_a_node_that_stops_under_load_stops_in_time_and_tells_its_peers(keyring):
    echo = Echo()
    failed = []
    async with trio.open_nursery() as nursery:
        async with open_node(
            node_settings(listen=SSH, drain=0.1), keyring=keyring, services=[echo]
        ) as node:

            async def ask():
                async with connect(
                    node.url, identity=ALICE_KEY, expect=node_key(keyring)
                ) as client:
                    try:
                        await client.call(Hold())
                    except CallError as error:
                        failed.append(error)

            for _ in range(8):
                nursery.start_soon(ask)
            with trio.fail_after(20):
                await echo.has_begun(8)
            stopping = trio.current_time()
        assert trio.current_time() - stopping < 5
    assert len(failed) == 8
