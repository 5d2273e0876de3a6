"""The WebSocket listener against RFC 6455, by a table of frames made by hand.

Each row is what a client sends after the upgrade, and every frame that it must get back until the
connection ends. The listener echoes messages, text as text and bytes as bytes.
"""

import struct
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from alknet.transport import websocket
from alknet.wire.limits import Limits

from .frames import BINARY, CLOSE, MORE, PING, PONG, TEXT, Reader, closing, frame

LIMIT = 70_000
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = (
    b"GET /alknet/call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: " + KEY + b"\r\nSec-WebSocket-Version: 13\r\n"
)


@pytest.fixture
async def echo(nursery):
    """The port of a listener that sends back what it is sent."""

    async def serve(link):
        while data := await link.receive():
            await link.send([data])

    async def listen(task_status):
        limits = Limits(frame_bytes=LIMIT, handshake_seconds=2)
        await websocket.listen("ws://127.0.0.1:0", serve, limits=limits, task_status=task_status)

    return int((await nursery.start(listen)).rpartition(":")[2])


@asynccontextmanager
async def upgraded(port, fields=b""):
    """Open a WebSocket by hand; yield the stream, a reader of frames, and the head of the answer."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(UPGRADE + fields + b"\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += await stream.receive_some()
        head, _, rest = answer.partition(b"\r\n\r\n")
        reader = Reader(stream)
        reader.buffer = rest
        yield stream, reader, head


async def exchanged(port, sent, expected):
    """Send frames, and a farewell once as many as *expected* came back; return all that came."""
    async with upgraded(port) as (stream, reader, _):
        for each in sent:
            await stream.send_all(each)
        with trio.fail_after(5):
            found = [await reader.frame() for _ in expected]
            # Not before: who says farewell has no claim to what is on its way.
            await stream.send_all(BYE)
            return found + await reader.frames()


async def answered(port, *sent):
    """Send frames; return what comes back until the connection ends."""
    async with upgraded(port) as (stream, reader, _):
        with suppress(trio.BrokenResourceError):
            # The listener may hang up before the last: the first at fault ends the connection.
            for each in sent:
                await stream.send_all(each)
        with trio.fail_after(5):
            return await reader.frames()


BYE = frame(CLOSE, closing(1000))
GOODBYE = (CLOSE, closing(1000))


def fragments(opcode, *pieces):
    """Return a message in pieces."""
    last = len(pieces) - 1
    return [
        frame(opcode if index == 0 else MORE, piece, fin=index == last)
        for index, piece in enumerate(pieces)
    ]


GREEK = "κόσμε".encode()

TAKEN = {
    # Section 5.2 and 5.6: messages of every form of length.
    "text": ([frame(TEXT, b"hello")], [(TEXT, b"hello")]),
    "bytes": ([frame(BINARY, b"\0\xff")], [(BINARY, b"\0\xff")]),
    "text beyond ASCII": ([frame(TEXT, GREEK)], [(TEXT, GREEK)]),
    "a mask of zeros": ([frame(TEXT, b"hi", mask=bytes(4))], [(TEXT, b"hi")]),
    **{
        f"{size} bytes": ([frame(BINARY, b"x" * size)], [(BINARY, b"x" * size)])
        for size in (1, 125, 126, 127, 65535, 65536, LIMIT)
    },
    # Section 5.2 asks the sender for the shortest form; a reader need not insist.
    "a length in 16 bits that fits in 7": (
        [frame(TEXT, b"hi", length=b"\x7e\0\x02")],
        [(TEXT, b"hi")],
    ),
    "a length in 64 bits that fits in 7": (
        [frame(TEXT, b"hi", length=b"\x7f" + bytes(7) + b"\x02")],
        [(TEXT, b"hi")],
    ),
    "two messages": ([frame(TEXT, b"a") + frame(BINARY, b"b")], [(TEXT, b"a"), (BINARY, b"b")]),
    "in pieces of a byte": (
        [bytes([byte]) for byte in frame(TEXT, b"hello")],
        [(TEXT, b"hello")],
    ),
    # Section 5.4: fragmentation.
    "two fragments": (fragments(TEXT, b"hel", b"lo"), [(TEXT, b"hello")]),
    "bytes in five fragments": (fragments(BINARY, *[b"\xff"] * 5), [(BINARY, b"\xff" * 5)]),
    "empty fragments": (fragments(TEXT, b"", b"hello", b"", b""), [(TEXT, b"hello")]),
    "a character cut in two": (fragments(TEXT, GREEK[:1], GREEK[1:]), [(TEXT, GREEK)]),
    "a hundred fragments": (fragments(BINARY, *[b"x"] * 100), [(BINARY, b"x" * 100)]),
    # Section 5.5: control frames, between fragments too.
    "a ping": ([frame(PING, b"are you there")], [(PONG, b"are you there")]),
    "an empty ping": ([frame(PING)], [(PONG, b"")]),
    "the longest ping": ([frame(PING, b"x" * 125)], [(PONG, b"x" * 125)]),
    "three pings": (
        [frame(PING, b"%d" % number) for number in range(3)],
        [(PONG, b"%d" % number) for number in range(3)],
    ),
    "a pong that nobody asked for": ([frame(PONG, b"x"), frame(TEXT, b"a")], [(TEXT, b"a")]),
    "a ping between fragments": (
        [frame(TEXT, b"hel", fin=False), frame(PING, b"p"), frame(MORE, b"lo")],
        [(PONG, b"p"), (TEXT, b"hello")],
    ),
    "a pong between fragments": (
        [frame(TEXT, b"hel", fin=False), frame(PONG, b"p"), frame(MORE, b"lo")],
        [(TEXT, b"hello")],
    ),
    "a ping in the middle of a character": (
        [frame(TEXT, GREEK[:1], fin=False), frame(PING), frame(MORE, GREEK[1:])],
        [(PONG, b""), (TEXT, GREEK)],
    ),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_what_the_rfc_allows_is_taken(echo, name):
    sent, expected = TAKEN[name]
    assert await exchanged(echo, sent, expected) == [*expected, GOODBYE]


# Section 7.4.1, and 7.4.2 for those from 3000.
CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]


@pytest.mark.parametrize("code", CODES)
async def test_a_farewell_is_answered_with_its_own_code(echo, code):
    reason = b"because"
    ((opcode, payload),) = await answered(echo, frame(CLOSE, closing(code, reason)))
    assert (opcode, payload[:2]) == (CLOSE, closing(code))


async def test_a_farewell_without_a_code_is_answered(echo):
    ((opcode, payload),) = await answered(echo, frame(CLOSE))
    assert opcode == CLOSE
    assert payload in (b"", closing(1000))


async def test_a_farewell_between_fragments_ends_the_message_too(echo):
    ((opcode, _),) = await answered(echo, frame(TEXT, b"hel", fin=False), BYE)
    assert opcode == CLOSE


async def test_what_follows_a_farewell_is_not_read(echo):
    assert await answered(echo, BYE + frame(TEXT, b"one more") + frame(PING)) == [GOODBYE]


WRONG_UTF8 = {
    "a byte that never occurs": b"a\xffb",
    "a continuation without a start": b"\x80",
    "too long a form": b"\xc0\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "cut short": GREEK[:-1],
}

PROTOCOL_ERROR, NOT_UTF8, TOO_BIG = 1002, 1007, 1009
REFUSED = {
    # Section 5.1: a client masks.
    "no mask": ([frame(TEXT, b"hi", mask=None)], PROTOCOL_ERROR),
    "a ping without a mask": ([frame(PING, mask=None)], PROTOCOL_ERROR),
    # Section 5.2: no extension is agreed, so no bit is taken.
    **{
        f"reserved bits {bits:03b}": ([frame(TEXT, b"hi", reserved=bits)], PROTOCOL_ERROR)
        for bits in range(1, 8)
    },
    "a reserved bit on a ping": ([frame(PING, reserved=4)], PROTOCOL_ERROR),
    "a reserved bit on a later fragment": (
        [frame(TEXT, b"a", fin=False), frame(MORE, b"b", reserved=4)],
        PROTOCOL_ERROR,
    ),
    **{
        f"opcode {opcode}": ([frame(opcode, b"")], PROTOCOL_ERROR)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "a length with the highest bit": (
        [frame(TEXT, b"hi", length=b"\x7f\x80" + bytes(6) + b"\x02")],
        TOO_BIG,
    ),
    # Section 5.4.
    "a fragment of nothing": ([frame(MORE, b"lo")], PROTOCOL_ERROR),
    "the last fragment of nothing": ([frame(MORE, b"lo", fin=False)], PROTOCOL_ERROR),
    "a message within a message": (
        [frame(TEXT, b"hel", fin=False), frame(TEXT, b"lo")],
        PROTOCOL_ERROR,
    ),
    "a fragment behind the last": (
        [*fragments(TEXT, b"a", b"b"), frame(MORE, b"c")],
        PROTOCOL_ERROR,
    ),
    # Section 5.5: control frames are short and whole.
    "a ping in fragments": ([frame(PING, b"a", fin=False), frame(MORE, b"b")], PROTOCOL_ERROR),
    "a long ping": ([frame(PING, b"x" * 126)], PROTOCOL_ERROR),
    "a long pong": ([frame(PONG, b"x" * 126)], PROTOCOL_ERROR),
    "a long farewell": ([frame(CLOSE, closing(1000, b"x" * 124))], PROTOCOL_ERROR),
    "half a code": ([frame(CLOSE, b"\x03")], PROTOCOL_ERROR),
    # Section 7.4: codes that may not be sent.
    **{
        f"code {code}": ([frame(CLOSE, closing(code))], PROTOCOL_ERROR)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    # Section 8.1.
    **{name: ([frame(TEXT, text)], NOT_UTF8) for name, text in WRONG_UTF8.items()},
    **{
        f"{name}, in fragments": (fragments(TEXT, text[:1], text[1:]), NOT_UTF8)
        for name, text in WRONG_UTF8.items()
    },
    "a reason that is no text": ([frame(CLOSE, closing(1000, b"\xff"))], NOT_UTF8),
    # Section 7.4.1: a message of a kind that an endpoint cannot take. No envelope is empty.
    "an empty message": ([frame(TEXT)], 1003),
    # Section 10.4.
    "above the limit": ([frame(BINARY, b"x" * (LIMIT + 1))], TOO_BIG),
    "above the limit in fragments": (
        fragments(BINARY, b"x" * LIMIT, b"x"),
        TOO_BIG,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_the_rfc_forbids_ends_the_connection_with_the_code_for_it(echo, name):
    sent, code = REFUSED[name]
    *before, (opcode, payload) = await answered(echo, *sent)
    assert opcode == CLOSE
    assert struct.unpack("!H", payload[:2])[0] == code
    # A message before the fault may have been answered; nothing at fault is.
    assert before in ([], [(TEXT, b"ab")])


# The first request.


async def test_the_answer_to_the_key_is_that_of_the_rfc(echo):
    async with upgraded(echo) as (_, _, head):
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert head.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    "offer",
    [
        b"permessage-deflate",
        b"permessage-deflate; client_max_window_bits",
        b"x-webkit-deflate-frame, permessage-deflate; server_no_context_takeover",
    ],
)
async def test_compression_is_never_agreed_on(echo, offer):
    async with upgraded(echo, b"Sec-WebSocket-Extensions: " + offer + b"\r\n") as (
        stream,
        reader,
        head,
    ):
        assert b"extensions" not in head.lower()
        await stream.send_all(frame(TEXT, b"plain"))
        assert await reader.frame() == (TEXT, b"plain")


async def asked(port, request):
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request)
        with trio.fail_after(5), suppress(trio.BrokenResourceError):
            return await stream.receive_some()
    return b""


WHOLE = UPGRADE + b"\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (WHOLE.replace(b"GET", b"POST"), 405),
        (WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
        (WHOLE.replace(b"Host: x\r\n", b""), 400),
        (WHOLE.replace(b"Upgrade: websocket\r\n", b""), 426),
        (WHOLE.replace(b"Connection: Upgrade\r\n", b""), 426),
        (WHOLE.replace(b"Sec-WebSocket-Key: " + KEY + b"\r\n", b""), 400),
        (WHOLE.replace(KEY, b"c2hvcnQ="), 400),
        (WHOLE.replace(b"Version: 13", b"Version: 12"), 426),
        (WHOLE.replace(b"Sec-WebSocket-Version: 13\r\n", b""), 400),
    ],
    ids=["post", "1.0", "host", "upgrade", "connection", "key", "short key", "version", "none"],
)
async def test_a_request_that_is_no_upgrade_is_refused(echo, request_, status):
    """Section 4.2.1."""
    answer = await asked(echo, request_)
    assert answer.startswith(b"HTTP/1.1 %d " % status)


async def test_who_speaks_another_version_is_told_the_right_one(echo):
    """Section 4.4."""
    answer = await asked(echo, WHOLE.replace(b"Version: 13", b"Version: 12"))
    assert b"Sec-WebSocket-Version: 13\r\n" in answer


@pytest.mark.parametrize("upgrade", [b"WebSocket", b"WEBSOCKET"])
async def test_the_words_of_the_upgrade_are_in_any_case(echo, upgrade):
    answer = await asked(echo, WHOLE.replace(b"Upgrade: websocket", b"upgrade: " + upgrade))
    assert answer.startswith(b"HTTP/1.1 101 ")
