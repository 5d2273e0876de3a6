"""WebSocket: what is its own; what it shares with other transports is in tests/contract."""

from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import open_websocket_url

from alknet.errors import SettingsError, Unreachable
from alknet.transport import road, websocket
from alknet.wire.limits import DEFAULT_LIMITS, Limits


@pytest.fixture
async def echo(nursery):
    """The URL of a server that sends back what it is sent."""

    async def serve(link):
        while data := await link.receive():
            await link.send([data])

    async def listen(task_status):
        await websocket.listen(
            "ws://127.0.0.1:0", serve, limits=Limits(handshake_seconds=0.3), task_status=task_status
        )

    return await nursery.start(listen)


UPGRADE = (
    b"GET /alknet/call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def said_to(url, *pieces, is_cut=False):
    """Say something over TCP; return what is answered until the server closes the connection."""
    answer = b""
    async with await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2])) as stream:
        for piece in pieces:
            await stream.send_all(piece)
            if piece == UPGRADE and piece is not pieces[-1]:
                answer += await stream.receive_some()
        if is_cut:
            await stream.send_eof()
        with trio.fail_after(5), suppress(trio.BrokenResourceError):
            while data := await stream.receive_some():
                answer += data
    return answer


async def asking(url, *subprotocols, path=websocket.PATH):
    return open_websocket_url(url + path, subprotocols=list(subprotocols) or None)


# Clients that are not ours.


@pytest.mark.parametrize("message", ["text", b"bytes"])
async def test_text_is_answered_with_text_and_bytes_with_bytes(echo, message):
    async with await asking(echo) as socket:
        await socket.send_message(message)

        assert await socket.get_message() == message


async def test_what_a_client_sends_last_decides(echo):
    async with await asking(echo) as socket:
        for message in ("text", b"bytes", "text"):
            await socket.send_message(message)
            assert await socket.get_message() == message


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ((), None),
        (("alknet.json",), "alknet.json"),
        (("alknet.msgpack",), "alknet.msgpack"),
        (("something.else",), None),
        (("something.else", "alknet.msgpack", "alknet.json"), "alknet.msgpack"),
        (("alknet.json.frames", "alknet.json"), "alknet.json.frames"),
    ],
)
async def test_the_first_subprotocol_that_is_known_is_chosen(echo, proposed, chosen):
    async with await asking(echo, *proposed) as socket:
        assert socket.subprotocol == chosen


@pytest.mark.parametrize("path", ["/", "/alknet", "/alknet/call/more", "/favicon.ico"])
async def test_another_path_is_not_found_and_is_told_the_right_one(echo, path):
    answer = await said_to(echo, UPGRADE.replace(b"/alknet/call", path.encode()))

    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.endswith(b"alknet answers at /alknet/call\n")


async def test_a_query_behind_the_path_is_passed_over(echo):
    async with await asking(echo, path=websocket.PATH + "?a=b") as socket:
        await socket.send_message("hi")
        assert await socket.get_message() == "hi"


# Listening.


async def _listen(url, task_status=trio.TASK_STATUS_IGNORED):
    await road.listen(url, None, limits=DEFAULT_LIMITS, task_status=task_status)


@pytest.mark.parametrize("scheme", ["ws", "tcp"])
async def test_a_port_that_is_taken_is_said_to_be(nursery, scheme):
    url = await nursery.start(_listen, f"{scheme}://127.0.0.1:0")

    with pytest.raises(SettingsError) as caught:
        await _listen(url)
    assert str(caught.value) == f"cannot listen at {url}: address already in use"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ws://192.0.2.1:0", "cannot listen at ws://192.0.2.1:0: cannot assign requested address"),
        ("tcp://192.0.2.1:0", "cannot assign requested address"),
        ("ws://no.such.host.invalid:0", "cannot listen at ws://no.such.host.invalid:0: "),
        (
            "wss://192.0.2.1:0",
            "cannot listen at wss://192.0.2.1:0: cannot assign requested address",
        ),
        (
            "http://127.0.0.1:0",
            "should read ws://host:port, wss://, tcp://, tls://, ssh:// or quic://",
        ),
    ],
)
async def test_what_cannot_be_listened_at_says_why(url, words):
    with pytest.raises(SettingsError) as caught:
        await _listen(url)
    assert words in str(caught.value)


# Dialling.


@pytest.mark.parametrize("scheme", ["ws", "tcp"])
async def test_nobody_at_the_address_is_unreachable(nursery, scheme):
    # A port that has just been free: nobody listens there now.
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"{scheme}://127.0.0.1:{port}"

    with pytest.raises(Unreachable) as caught:
        await road.dial(nursery, url, limits=DEFAULT_LIMITS)
    assert str(caught.value) == f"cannot reach {url}: connection refused"


@pytest.mark.parametrize("scheme", ["ws", "tcp"])
async def test_a_name_that_nobody_has_is_unreachable(nursery, scheme):
    with pytest.raises(Unreachable, match=r"cannot reach .*no\.such\.host\.invalid"):
        await road.dial(nursery, f"{scheme}://no.such.host.invalid:1", limits=DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP 200"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer as a WebSocket does"),
        (b"\x16\x03\x01\x02\x00", "does not answer as a WebSocket does"),
        (b"", "does not answer as a WebSocket does"),
    ],
)
async def test_a_server_of_something_else_is_told_apart(nursery, answer, words):
    async def serve(stream):
        async with stream:
            await stream.receive_some(4096)
            if answer:
                await stream.send_all(answer)

    listeners = await nursery.start(_serve_tcp, serve)
    port = listeners[0].socket.getsockname()[1]
    with trio.fail_after(5), pytest.raises(Unreachable, match=words):
        await websocket.dial(nursery, f"ws://127.0.0.1:{port}", limits=DEFAULT_LIMITS)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\nnot here, no"],
        [b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\nnot he", b"re, no"],
        [b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n", b"\r\nnot ", b"here, ", b"no"],
        [b"HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\na\r\n\r\nb", b"c\r\n\r\nd"],
    ],
    ids=["at once", "in two", "in four", "blank lines"],
)
async def test_a_web_server_that_keeps_the_connection_open_is_told_apart_at_once(nursery, pieces):
    async def serve(stream):
        async with stream:
            await stream.receive_some(4096)
            for piece in pieces:
                await stream.send_all(piece)
                await wait_all_tasks_blocked(0.01)
            await stream.receive_some(1)

    listeners = await nursery.start(_serve_tcp, serve)
    port = listeners[0].socket.getsockname()[1]
    with trio.fail_after(2), pytest.raises(Unreachable, match="HTTP 404"):
        await websocket.dial(nursery, f"ws://127.0.0.1:{port}", limits=DEFAULT_LIMITS)


async def _serve_tcp(serve, task_status):
    await trio.serve_tcp(serve, 0, host="127.0.0.1", task_status=task_status)


async def test_a_server_that_says_nothing_is_not_waited_for(nursery):
    async def serve(_):
        await trio.sleep_forever()

    listeners = await nursery.start(_serve_tcp, serve)
    url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    with pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"):
        await websocket.dial(nursery, url, limits=DEFAULT_LIMITS, timeout=0.2)


# One connection's fault is nobody else's.


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 5000,
        b"GET /alknet/call HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000,
        b"GET /alknet/call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
    ids=["nothing", "blank", "http", "tls", "zeros", "many headers", "no key"],
)
async def test_what_is_no_websocket_ends_its_own_connection_alone(echo, said):
    await said_to(echo, said)
    async with await asking(echo) as socket:
        await socket.send_message("still here")
        assert await socket.get_message() == "still here"


@pytest.mark.parametrize(
    "garbage",
    [b"\x00", b"\xff" * 100, b"\x82\x05plain", b"\x83\x00"],
    ids=["half a frame", "ones", "unmasked", "no opcode"],
)
async def test_garbage_after_the_upgrade_ends_its_own_connection_alone(echo, garbage):
    # The first is the beginning of a frame, and then the end.
    answer = await said_to(echo, UPGRADE, garbage, is_cut=garbage == b"\x00")
    assert answer.startswith(b"HTTP/1.1 101")
    async with await asking(echo) as socket:
        await socket.send_message("still here")
        assert await socket.get_message() == "still here"
