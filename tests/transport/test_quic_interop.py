"""QUIC with aioquic at the other end, which shares no line of code with ours."""

import json

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import wait_all_tasks_blocked

from alknet import connect, open_node
from alknet.errors import Unreachable
from alknet.keys import Keyring
from alknet.runtime.vault import IDENTITY_PATH
from alknet.transport import road
from alknet.transport.trust import Trust
from alknet.wire import handshake
from alknet.wire.limits import DEFAULT_LIMITS

from ..contract.plain import FramedSocket, PlainClient
from ..echo import Echo, Say
from ..people import ALICE_KEY, PHRASE, STRANGER_KEY, node_settings
from .aioquic_peer import AioquicStream, aioquic_client, aioquic_server

CALLS, CALLS_AND_LANES = b"\0", b"\1"
ALICE = Ed25519PrivateKey.from_private_bytes(ALICE_KEY.reveal_private_key())
NODE_KEY = Keyring.from_mnemonic(PHRASE).ed25519(IDENTITY_PATH)


@pytest.fixture
async def port(keyring):
    settings = node_settings(listen=("quic://127.0.0.1:0",))
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        yield int(node.url.rpartition(":")[2])


@pytest.mark.parametrize("key", [None, ALICE_KEY], ids=["no certificate", "certificate"])
async def test_aioquic_calls_a_node_and_subscribes(port, key):
    async with aioquic_client(port, key=key) as end:
        shown = end.peer_certificate.public_key().public_bytes_raw()
        assert shown == NODE_KEY.public_key
        stream = end.open()
        await stream.send_all(CALLS)
        client = PlainClient(FramedSocket(stream), as_text=False)
        assert (await client.shake_hands(ALICE))["type"] == "auth.accepted"
        await client.send(
            "call.requested", "1", operationId="/head/echo/say", input={"text": "x" * 100_000}
        )
        assert (await client.hear())["payload"]["output"] == "x" * 100_000
        await client.send("call.requested", "2", operationId="/head/echo/count", input={"to": 3})
        heard = [await client.hear() for _ in range(4)]
        assert [each["payload"].get("output") for each in heard] == [0, 1, 2, None]
        assert heard[3]["type"] == "call.completed"


async def test_aioquic_with_a_stranger_s_certificate_is_told_why_it_is_refused(port):
    async with aioquic_client(port, key=STRANGER_KEY) as end:
        stream = end.open()
        await stream.send_all(CALLS)
        answer = await PlainClient(FramedSocket(stream), as_text=False).hear()
        assert answer["type"] == "auth.refused"
        assert "is not listed here" in answer["payload"]["reason"]
        with trio.fail_after(5):
            assert await stream.receive_some() == b""


async def test_a_client_that_speaks_another_protocol_is_told_so_and_nobody_else_minds(port):
    async with aioquic_client(port, protocol="h3") as end:
        assert end.termination.error_code == 0x100 + 120  # no_application_protocol
    async with aioquic_client(port) as end:
        assert end.termination is None


async def test_a_first_stream_of_another_kind_is_refused_in_words(port):
    async with aioquic_client(port) as end:
        await end.open().send_all(b"GET / HTTP/1.1\r\n\r\n")
        with trio.fail_after(5):
            await end.closed.wait()
        assert "does not speak alknet over QUIC" in end.termination.reason_phrase


async def answered(end):
    """Be a node by hand: let the client in, answer its first call, and hear the end."""
    stream = await end.opened()
    assert await stream.receive_some() == CALLS_AND_LANES
    socket = FramedSocket(stream)
    challenge = handshake.challenge("by-hand", STRANGER_KEY)
    await socket.send_message(handshake.encode(challenge))
    response = handshake.decode(await socket.get_message(), handshake.Response)
    assert handshake.prove(challenge, response) == ALICE_KEY.public_key
    accepted = handshake.accept(challenge, response, STRANGER_KEY, "alice", [])
    await socket.send_message(handshake.encode(accepted))
    asked = json.loads(await socket.get_message())
    answer = {
        "type": "call.responded",
        "id": asked["id"],
        "payload": {"output": asked["payload"]["input"]["text"].upper()},
    }
    await socket.send_message(json.dumps(answer).encode())
    assert isinstance(stream, AioquicStream)
    assert await stream.receive_some() == b""


async def test_our_client_calls_a_node_by_hand_on_aioquic_and_shows_it_its_certificate(nursery):
    done = trio.Event()
    async with aioquic_server(STRANGER_KEY) as (port, ends):

        async def serve():
            while not ends:
                await wait_all_tasks_blocked(0.01)
            await answered(ends[0])
            done.set()

        nursery.start_soon(serve)
        url = f"quic://127.0.0.1:{port}"
        async with connect(url, identity=ALICE_KEY, expect=STRANGER_KEY.public_key) as client:
            assert await client.call(Say("hello")) == "HELLO"
            shown = ends[0].peer_certificate.public_key().public_bytes_raw()
            assert shown == ALICE_KEY.public_key
        with trio.fail_after(5):
            await done.wait()


async def test_a_server_of_another_protocol_is_unreachable(nursery):
    async with aioquic_server(STRANGER_KEY, protocol="h3") as (port, _):
        trust = Trust(None, STRANGER_KEY.fingerprint)
        with pytest.raises(Unreachable, match="another protocol"):
            await road.dial(nursery, f"quic://127.0.0.1:{port}", limits=DEFAULT_LIMITS, trust=trust)
