"""Peers that mean harm: each costs its own link, and the node keeps serving the others."""

import gc
import json
import tracemalloc
from contextlib import asynccontextmanager, suppress

import pytest
import structlog
import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import ConnectionClosed

from alknet import connect, open_node
from alknet.errors import Disconnected, Refused, RemoteProtocolError
from alknet.services.auth.keyset import Peer
from alknet.wire.limits import Limits

from ..contract.plain import plain_client, private_key
from ..echo import Echo, Say
from ..people import ALICE_KEY, node_settings, peer

PRIVATE, LISTED = private_key()
LIMITS = Limits(
    frame_bytes=100_000, calls_in_flight=50, unsent_bytes=500_000, handshake_seconds=0.4
)


class Attacked:
    """A node, one client that means well, and the count of what it has got through."""

    def __init__(self, node, alice):
        self.node = node
        self.alice = alice
        self.echo = node.dispatcher.registry.find("echo/hold").endpoint.service

    async def serves(self):
        """Assert that the one who means well is still served, on her link and on a new one."""
        with trio.fail_after(5):
            assert await self.alice.call(Say("still here")) == "still here"
            async with connect(self.node.url, identity=ALICE_KEY) as another:
                assert await another.call(Say("and others")) == "and others"

    async def left_alone(self):
        """Return when every link but hers is gone."""
        with trio.fail_after(10):
            while len(self.node.sessions) > 1:
                await wait_all_tasks_blocked(0.005)


@pytest.fixture
async def attacked(keyring):
    settings = node_settings(
        peer("alice", ALICE_KEY, "*"), Peer("mallory", (LISTED,), frozenset({"*"})), limits=LIMITS
    )
    with structlog.testing.capture_logs() as logs:
        async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
            async with connect(node.url, identity=ALICE_KEY) as alice:
                attacked = Attacked(node, alice)
                yield attacked
                await attacked.serves()
    assert not [line for line in logs if line["log_level"] == "error"], "a fault of ours"


@asynccontextmanager
async def mallory(attacked):
    """A peer that is let in, and then does as it likes until it is cut."""
    with suppress(ConnectionClosed):
        async with plain_client(attacked.node.url, PRIVATE, as_text=False, is_rude=True) as client:
            yield client


async def tcp(attacked):
    port = int(attacked.node.url.rpartition(":")[2])
    return await trio.open_tcp_stream("127.0.0.1", port)


UPGRADE = (
    b"GET /alknet/call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


# Before anybody has proven anything.


async def test_slow_loris_is_not_waited_for(attacked):
    """Many connections that each say a little now and then hold nothing for long."""
    async with trio.open_nursery() as nursery:

        async def drip(said):
            async with await tcp(attacked) as stream:
                with suppress(trio.BrokenResourceError):
                    for byte in said:
                        await stream.send_all(bytes([byte]))
                        await trio.sleep(0.02)

        for number in range(60):
            nursery.start_soon(drip, (UPGRADE, b"\x81", b"")[number % 3])
        await trio.sleep(0.2)
        await attacked.serves()
        await trio.sleep(LIMITS.handshake_seconds * 2)
        await attacked.serves()
        nursery.cancel_scope.cancel()


async def test_a_handshake_that_is_never_finished_is_ended(attacked):
    async with plain_client(attacked.node.url) as client:
        assert (await client.hear())["type"] == "auth.challenge"
        with trio.fail_after(5), pytest.raises(ConnectionClosed):
            while True:
                await client.hear()


@pytest.mark.parametrize("after", [1, 20, 100, len(UPGRADE) - 1])
async def test_hanging_up_in_the_middle_of_the_upgrade(attacked, after):
    for _ in range(20):
        async with await tcp(attacked) as stream:
            await stream.send_all(UPGRADE[:after])


@pytest.mark.parametrize(
    "said",
    [
        "hello",
        "{}",
        "[" * 8000,
        json.dumps({"type": "call.requested", "id": "1", "payload": {"operationId": "/echo/say"}}),
        json.dumps({"type": "auth.response", "payload": {"nonce": "", "token": "x" * 5000}}),
        json.dumps({"type": "auth.response", "payload": {"nonce": "AAAA", "public_key": "AAAA"}}),
        json.dumps({"type": "auth.accepted", "payload": {"peer_id": "alice"}}),
        "x" * 50_000,
    ],
    ids=range(8),
)
async def test_anything_but_an_answer_to_the_challenge_is_refused(attacked, said):
    async with plain_client(attacked.node.url) as client:
        await client.hear()
        await client.say(said)
        assert (await client.hear())["type"] == "auth.refused"
        with trio.fail_after(5), pytest.raises(ConnectionClosed):
            await client.hear()


async def test_calls_that_come_before_the_answer_are_never_read(attacked):
    async with plain_client(attacked.node.url) as client:
        await client.hear()
        with suppress(ConnectionClosed):
            for number in range(50):
                await client.send(
                    "call.requested", str(number), operationId="/echo/note", input={"text": "x"}
                )
        with suppress(ConnectionClosed):
            while True:
                await client.hear()

    assert attacked.echo.notes == []


# After the upgrade.


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00",
        b"\xff" * 1000,
        b"\x81\x05plain",
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x88\x80\x00\x00\x00\x00" * 10,
        b"\x89\xfe\xff\xff" + b"\0" * 2000,
        b"\xc1\x80\x00\x00\x00\x00",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["zero", "ones", "unmasked", "endless", "closes", "long ping", "rsv", "http"],
)
async def test_garbage_after_the_upgrade(attacked, garbage):
    for _ in range(5):
        async with await tcp(attacked) as stream:
            await stream.send_all(UPGRADE)
            await stream.receive_some()
            with suppress(trio.BrokenResourceError):
                await stream.send_all(garbage)


@pytest.mark.parametrize("part", [1, 6, 50])
async def test_hanging_up_in_the_middle_of_a_frame(attacked, part):
    for _ in range(10):
        async with mallory(attacked) as client:
            stream = client.socket._stream
            frame = b"\x82\xfe\x01\x00\0\0\0\0" + b'{"type": "call.requested", "id": "1"'
            await stream.send_all(frame[:part])
            await trio.aclose_forcefully(stream)
    await attacked.left_alone()


@pytest.mark.parametrize(
    "said",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"type": "call.requested"}',
        '{"type": "call.requested", "id": "1", "payload": {}}',
        '{"type": "call.requested", "id": {}, "payload": {"operationId": "/echo/say"}}',
        '{"type": "call.requested", "id": "1", "payload": {"operationId": 7}}',
        '{"type": "call.credit", "id": "1", "payload": {"items": -5}}',
        '{"type": "call.responded", "id": "1", "payload": {"output": ' + "[" * 90_000,
        '{"type": "call.requested", "id": "1", "payload": {"operationId": "/echo/say", '
        '"input": "\\ud800"}}',
    ],
    ids=range(11),
)
async def test_malformed_envelopes(attacked, said):
    async with mallory(attacked) as client:
        await client.say(said)
        with trio.fail_after(5), suppress(ConnectionClosed):
            while True:
                await client.hear()
    await attacked.left_alone()


async def test_frames_above_the_limit(attacked):
    for size in (LIMITS.frame_bytes + 1, LIMITS.frame_bytes * 50):
        async with mallory(attacked) as client:
            with suppress(ConnectionClosed):
                await client.say("x" * size)
            with trio.fail_after(5), pytest.raises(ConnectionClosed):
                while True:
                    await client.hear()
    await attacked.left_alone()


# Let in, and ill-behaved.


async def test_a_flood_of_calls_is_refused_beyond_the_limit(attacked):
    async with mallory(attacked) as client:
        for number in range(500):
            await client.send("call.requested", str(number), operationId="/echo/hold", input={})
        refused = [await client.hear() for _ in range(450)]
        assert {each["payload"]["code"] for each in refused} == {"RATE_LIMITED"}
        await attacked.serves()
        assert attacked.echo.active == LIMITS.calls_in_flight
    await attacked.left_alone()

    with trio.fail_after(5):
        await attacked.echo.has_ended()


async def test_a_flood_of_calls_and_aborts_leaves_nothing_running(attacked):
    async with mallory(attacked) as client:
        for number in range(2000):
            await client.send("call.requested", str(number), operationId="/echo/hold", input={})
            await client.send("call.aborted", str(number))
        await client.send("link.ping", "done")
        while (await client.hear())["type"] != "link.pong":
            pass
        with trio.fail_after(5):
            await attacked.echo.has_ended()
        await attacked.serves()


async def test_one_who_asks_and_never_listens_is_cut(attacked):
    async with mallory(attacked) as client:
        stream = client.socket._stream
        request = json.dumps(
            {
                "type": "call.requested",
                "id": "1",
                "payload": {"operationId": "/echo/shout", "input": {"text": "x" * 3000}},
            }
        ).encode()
        frame = b"\x82\xfe" + len(request).to_bytes(2, "big") + b"\0\0\0\0" + request
        with trio.fail_after(20), suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(frame)
        await attacked.serves()
    await attacked.left_alone()


async def test_ids_that_are_in_use_are_refused_and_the_first_call_stands(attacked):
    async with mallory(attacked) as client:
        await client.send("call.requested", "1", operationId="/echo/hold", input={})
        for _ in range(100):
            await client.send("call.requested", "1", operationId="/echo/hold", input={})
            answer = await client.hear()
            assert (answer["id"], answer["payload"]["code"]) == ("1", "INVALID_INPUT")
        assert attacked.echo.begun == 1
        attacked.echo.let_go.set()

        assert (await client.hear())["payload"] == {"output": "held"}


async def test_replies_to_calls_never_made_go_nowhere(attacked):
    async with mallory(attacked) as client:
        for id_ in ("", "1", "~1", "~2", "x" * 1000):
            await client.send("call.responded", id_, output=1)
            await client.send("call.completed", id_)
            await client.send("call.credit", id_, items=2**40)
            await client.send("call.aborted", id_)
            await client.send("call.item", id_, item=1)
            await client.send("call.finished", id_)
            if id_:
                await client.send("call.error", id_, code="X", message="y")
        await client.send("link.ping", "still here")

        assert (await client.hear())["type"] == "link.pong"


async def test_windows_never_granted_hold_one_window_and_no_more(attacked):
    async with mallory(attacked) as client:
        for number in range(LIMITS.calls_in_flight):
            await client.send(
                "call.requested",
                str(number),
                operationId="/echo/count",
                input={"to": 10**9},
                window=1,
            )
        for _ in range(LIMITS.calls_in_flight):
            assert (await client.hear())["payload"] == {"output": 0}
        with trio.move_on_after(0.05) as nothing_more:
            await client.hear()
        assert nothing_more.cancelled_caught
        await attacked.serves()


async def test_an_endless_stream_that_nobody_reads_holds_a_bounded_amount_of_memory(attacked):
    """No window named, and nothing read: what the sockets do not take is not made."""
    tracemalloc.start()
    try:
        async with mallory(attacked) as client:
            await trio.lowlevel.checkpoint()
            before = tracemalloc.get_traced_memory()[0]
            for number in range(5):
                await client.send(
                    "call.requested", str(number), operationId="/echo/count", input={"to": 10**9}
                )
            await trio.sleep(0.5)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
            assert grown < 20_000_000
            await attacked.serves()
    finally:
        tracemalloc.stop()


async def test_items_beyond_the_credit_fail_the_call_and_not_the_link(attacked):
    async with mallory(attacked) as client:
        await client.send("call.requested", "1", operationId="/echo/say", input={"text": "x"})
        for _ in range(100):
            await client.send("call.item", "1", item=1)
        assert (await client.hear())["payload"] == {"output": "x"}
        await client.send("link.ping", "still here")
        assert (await client.hear())["type"] == "link.pong"


async def test_paths_and_identities_made_up_change_nothing(attacked):
    async with mallory(attacked) as client:
        for operation in ("//", "/head/../secrets/derive", "/alice/echo/say", "/head/echo/secret"):
            await client.send("call.requested", "1", operationId=operation, input={})
            assert (await client.hear())["payload"]["code"] in ("NOT_FOUND", "INVALID_INPUT")
        await client.send(
            "call.requested",
            "2",
            operationId="/echo/whoami",
            input={},
            identity={"id": "alice"},
            auth_token="alice's",
        )
        assert (await client.hear())["payload"]["code"] == "UNAUTHENTICATED"


async def test_many_links_at_once_are_all_served_or_refused(attacked):
    served = 0

    async def visit():
        nonlocal served
        with suppress(Refused, Disconnected, RemoteProtocolError):
            async with connect(attacked.node.url, identity=ALICE_KEY) as client:
                assert await client.call(Say("x")) == "x"
                served += 1

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(visit)

    assert served == 30
    await attacked.left_alone()
