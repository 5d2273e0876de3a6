"""The same over plain TCP, where a peer has the length of each frame in its hand."""

from contextlib import asynccontextmanager, suppress

import pytest
import structlog
import trio

from alknet import connect, open_node
from alknet.services.auth.keyset import Peer

from ..contract.plain import framed_client
from ..echo import Echo
from ..people import ALICE_KEY, node_settings, peer
from .test_hostile_peers import LIMITS, LISTED, PRIVATE, Attacked


@pytest.fixture
async def attacked(keyring):
    settings = node_settings(
        peer("alice", ALICE_KEY, "*"),
        Peer("mallory", (LISTED,), frozenset({"*"})),
        limits=LIMITS,
        listen=("tcp://127.0.0.1:0",),
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
    with suppress(EOFError, trio.BrokenResourceError):
        async with framed_client(attacked.node.url, PRIVATE) as client:
            yield client


async def test_a_plain_client_over_tcp_is_served(attacked):
    async with mallory(attacked) as client:
        await client.send("call.requested", "1", operationId="/echo/say", input={"text": "hi"})
        assert (await client.hear())["payload"] == {"output": "hi"}


@pytest.mark.parametrize(
    "said",
    [
        b"\0\0\0\0",
        b"\0\0\0\1",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff" + b"x" * 1000,
        (LIMITS.frame_bytes + 1).to_bytes(4, "big"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\x05hello",
        b"\0\0\0\x02{}" * 100,
        b"\0",
    ],
    ids=["zero", "one", "ones", "2 GiB", "one above", "http", "no JSON", "empty maps", "a byte"],
)
@pytest.mark.parametrize("before", [True, False], ids=["stranger", "let in"])
async def test_frames_that_are_none(attacked, said, before):
    for _ in range(10):
        with suppress(EOFError, trio.BrokenResourceError):
            async with framed_client(attacked.node.url, None if before else PRIVATE) as client:
                await client.socket.stream.send_all(said)
                await client.socket.stream.send_eof()
                with trio.fail_after(5):
                    while True:
                        await client.hear()
    await attacked.left_alone()


async def test_a_frame_that_never_ends_holds_nothing_but_itself(attacked):
    async with mallory(attacked) as client:
        await client.socket.stream.send_all((LIMITS.frame_bytes).to_bytes(4, "big") + b"x" * 1000)
        await attacked.serves()
    await attacked.left_alone()


async def test_a_silent_stranger_is_not_waited_for(attacked):
    async with framed_client(attacked.node.url) as client:
        await client.hear()
        with trio.fail_after(5), pytest.raises((EOFError, trio.BrokenResourceError)):
            while True:
                await client.hear()


async def test_one_who_asks_and_never_listens_is_cut(attacked):
    async with mallory(attacked) as client:
        with trio.fail_after(20):
            while True:
                await client.send(
                    "call.requested", "1", operationId="/echo/shout", input={"text": "x" * 3000}
                )
    await attacked.left_alone()


async def test_a_flood_of_calls_is_refused_beyond_the_limit(attacked):
    async with mallory(attacked) as client:
        for number in range(500):
            await client.send("call.requested", str(number), operationId="/echo/hold", input={})
        refused = [await client.hear() for _ in range(450)]
        assert {each["payload"]["code"] for each in refused} == {"RATE_LIMITED"}
        await attacked.serves()
    await attacked.left_alone()
    with trio.fail_after(5):
        await attacked.echo.has_ended()
