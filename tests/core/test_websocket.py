"""WebSocket frames: what others write is read, and what is written others read, however it is cut.

Every row of RFC 6455 is in `tests/transport/test_rfc6455.py`, against a listener.
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol

from alknet._core.websocket import Connection, Pong

LIMIT = 5000
ROLES = {"server": (False, CLIENT), "client": (True, SERVER)}


def end(role="server", limit=LIMIT):
    """Return one end, of ours, and the other, of another library."""
    is_client, other = ROLES[role]
    return Connection(is_client=is_client, message_bytes=limit), Protocol(other, max_size=None)


def read(connection, *parts):
    """Return what *connection* makes of what it is fed, with what is text marked."""
    found = []
    for part in parts:
        connection.feed(part)
        while (step := connection.step()) is not False:
            if isinstance(step, bytes):
                found.append(step.decode() if connection.is_text else step)
            elif isinstance(step, Pong):
                found.append(("pong", step.payload))
        assert not connection.is_behind
    return found


messages = st.lists(st.one_of(st.text(max_size=200), st.binary(max_size=200)), max_size=8)


def sent_by(other, each):
    """Have *other* send *each*: text as two fragments with a ping between, bytes at once."""
    if isinstance(each, bytes):
        other.send_binary(each)
    else:
        raw = each.encode()
        other.send_text(raw[:3], fin=False)
        other.send_ping(b"between")
        other.send_continuation(raw[3:], fin=True)


@pytest.mark.parametrize("role", ROLES)
@given(sent=messages, cuts=st.lists(st.integers(0, 2000), max_size=10))
def test_what_another_library_sends_is_read_however_it_is_cut(role, sent, cuts):
    ours, other = end(role)
    for each in sent:
        sent_by(other, each)
    stream = b"".join(other.data_to_send())
    marks = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    assert read(ours, *(stream[start:end_] for start, end_ in pairwise(marks))) == sent
    assert ours.buffered == 0

    other.receive_data(ours.take())
    pongs = [frame for frame in other.events_received() if frame.opcode is Opcode.PONG]
    assert len(pongs) == sum(isinstance(each, str) for each in sent)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 131072, 131073, 300_000])
@pytest.mark.parametrize("is_text", [True, False])
def test_what_is_written_another_library_reads(role, size, is_text):
    ours, other = end(role)
    data = bytes(range(65, 91)) * (size // 26 + 1)
    chunks = [data[:size], b"", b"more"]

    for piece in ours.write(chunks, is_text=is_text):
        other.receive_data(piece)

    opcode = Opcode.TEXT if is_text else Opcode.BINARY
    assert other.events_received() == [Frame(opcode, data[:size]), Frame(opcode, b"more")]


def test_a_stream_is_written_in_messages_that_are_not_too_large():
    ours, other = end()
    for piece in ours.write([b"x" * 2500], most_bytes=1000):
        other.receive_data(piece)

    assert [len(frame.data) for frame in other.events_received()] == [1000, 1000, 500]


def test_masks_differ_from_frame_to_frame():
    ours, _ = end("client")
    frames = [b"".join(ours.write([b"the same"])) for _ in range(100)]

    assert len(set(frames)) == 100


def test_an_announced_length_takes_no_memory():
    ours, _ = end(limit=2**40)
    assert read(ours, b"\x82\xff" + (2**39).to_bytes(8, "big") + b"\0\0\0\0" + b"x" * 100) == []
    assert ours.buffered == 100


@pytest.mark.parametrize("role", ROLES)
def test_a_ping_is_answered_by_the_other_end_with_the_same(role):
    ours, other = end(role)
    ours.ping(b"12345678")
    other.receive_data(ours.take())
    other.events_received()

    assert read(ours, b"".join(other.data_to_send())) == [("pong", b"12345678")]


@pytest.mark.parametrize("role", ROLES)
def test_a_farewell_is_said_once_and_answered(role):
    ours, other = end(role)
    ours.close(1000, "ä" * 100)
    ours.close(1002, "another")
    assert not ours.is_open
    assert ours.sent_close == (1000, "ä" * 100)
    other.receive_data(ours.take())
    assert (other.close_rcvd.code, other.close_rcvd.reason) == (1000, "ä" * 61)

    read(ours, b"".join(other.data_to_send()))

    assert ours.received_close == (1000, "ä" * 61)
    assert ours.take() == b""


def test_after_a_fault_nothing_is_read():
    ours, other = end()
    other.send_binary(b"one more")
    assert read(ours, b"\x83\x80\0\0\0\0", b"".join(other.data_to_send())) == []
    assert ours.sent_close == (1002, "a reserved opcode")
    assert ours.received_close is None


def test_a_server_that_masks_is_refused():
    ours, _ = end("client")
    _, client = end("server")
    client.send_text(b"masked")
    assert read(ours, b"".join(client.data_to_send())) == []
    assert ours.sent_close == (1002, "a client masks its frames, and a server does not")
