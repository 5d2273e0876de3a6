"""What every link does, whatever road it came by."""

import hashlib

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet.errors import Disconnected, LocalProtocolError
from alknet.transport.messages import MessageLink
from alknet.transport.quic.connection import FAULT
from alknet.transport.quic.link import QuicLink
from alknet.transport.ssh.link import SshLink
from alknet.wire.limits import Limits

from .roads import CONNECTIONS, ENCRYPTED, FAR_KEY, NEAR_KEY, ROADS, link_over


@pytest.fixture(params=ROADS)
async def ends(request):
    async with link_over(request.param) as ends:
        yield ends


async def send_all(link, chunks):
    for chunk in chunks:
        await link.send([chunk])


async def receive_all(link, chunks):
    """Receive as much as *chunks* hold; return it as chunks, or in one piece on a framed link."""
    received, wanted = [], sum(map(len, chunks))
    while sum(map(len, received)) < wanted:
        data = await link.receive()
        assert data
        received.append(data)
    return [b"".join(received)] if link.framed else received


def expected(link, chunks):
    return [b"".join(chunks)] if link.framed else list(chunks)


CHUNKS = [bytes([number % 251]) * size for number, size in enumerate([1, 2, 1000, 70_000, 5] * 40)]


def chunks_for(ends):
    """Return some chunks of very different sizes; on a slow road fewer."""
    return CHUNKS[: max(len(CHUNKS) // ends.share, 5)]


@pytest.mark.parametrize("way", [0, 1], ids=["out", "back"])
async def test_chunks_arrive_whole_and_in_order(ends, way):
    sender, receiver = ends.both[way]
    chunks = chunks_for(ends)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, sender, chunks)

        assert await receive_all(receiver, chunks) == expected(receiver, chunks)


async def test_both_ways_at_once(ends):
    chunks = chunks_for(ends)
    async with trio.open_nursery() as nursery:
        for sender, receiver in ends.both:

            async def read(receiver=receiver):
                assert await receive_all(receiver, chunks) == expected(receiver, chunks)

            nursery.start_soon(send_all, sender, chunks)
            nursery.start_soon(read)


async def test_many_small_chunks_in_one_go(ends):
    chunks = [b"%d." % number for number in range(1000)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.near.send, chunks)

        assert await receive_all(ends.far, chunks) == expected(ends.far, chunks)


async def test_ten_thousand_small_frames_each_arrive_once_and_in_order(ends):
    frames = [b"\0\0\0\x08%08d" % number for number in range(10_000)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, ends.near, frames)

        assert await receive_all(ends.far, frames) == expected(ends.far, frames)


async def test_64_mib_in_pieces_arrive_whole(ends):
    """Compared by a hash: what arrives is no chunk of what was sent where the link is a stream."""
    pieces = [bytes([number % 251]) * 256 * 1024 for number in range(256 // ends.share)]
    heard, received = hashlib.sha256(), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, ends.near, pieces)
        while received < sum(map(len, pieces)):
            data = await ends.far.receive()
            assert data
            heard.update(data)
            received += len(data)

    assert heard.digest() == hashlib.sha256(b"".join(pieces)).digest()


async def test_a_sender_that_is_cancelled_in_the_middle_of_a_frame_leaves_no_whole_one(ends):
    """What is left of it is no frame, and the end that follows is no frame either."""
    body = bytes(range(256)) * 4 * 1024 * 48
    # 48 MiB: more than all buffers on the way hold. In pieces, as a message must fit its limit.
    frame = len(body).to_bytes(4, "big") + body
    pieces = [frame[start : start + 1024 * 1024] for start in range(0, len(frame), 1024 * 1024)]
    # The road of this process holds pieces, not bytes.
    pieces = [each[start : start + 65536] for each in pieces for start in range(0, 1048576, 65536)]
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.near.send, pieces)
            await wait_all_tasks_blocked(0.05)
            scope.cancel()
    assert scope.cancelled_caught

    received = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.near.aclose)
        with trio.fail_after(10):
            try:
                while data := await ends.far.receive():
                    received += data
            except Disconnected:
                pass
    assert frame.startswith(received)
    assert len(received) < len(frame)


async def test_an_end_that_has_said_all_may_still_hear_the_rest(ends):
    if isinstance(ends.near, MessageLink):
        with pytest.raises(LocalProtocolError, match="closes both ways or not at all"):
            await ends.near.send_eof()
        return
    await ends.near.send([b"that is all"])
    await ends.near.send_eof()
    with trio.fail_after(5):
        assert await receive_all(ends.far, [b"that is all"]) == [b"that is all"]
        assert await ends.far.receive() == b""
        await ends.far.send([b"the answer"])
        assert await receive_all(ends.near, [b"the answer"]) == [b"the answer"]


async def test_one_large_chunk(ends):
    chunk = bytes(range(256)) * 4 * 1024 * 8
    chunk = chunk[: len(chunk) // ends.share]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.near.send, [chunk])

        assert await receive_all(ends.far, [chunk]) == [chunk]


async def test_what_is_sent_without_waiting_goes_before_the_rest(ends):
    rest = ends.near.send_nowait([b"one ", b"two "])
    await ends.near.send([*rest, b"three"])

    chunks = [b"one ", b"two ", b"three"]
    assert await receive_all(ends.far, chunks) == expected(ends.far, chunks)


async def test_a_sender_waits_while_nobody_reads_and_goes_on_when_somebody_does(ends):
    sent = 0
    chunk = bytes(64 * 1024)

    async def flood():
        nonlocal sent
        for _ in range(1000):
            await ends.near.send([chunk])
            sent += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        await wait_all_tasks_blocked(0.05)
        held = sent
        assert held < 300, "what nobody reads piles up"
        for _ in range(20):
            await ends.far.receive()
        await wait_all_tasks_blocked(0.05)
        assert sent > held
        nursery.cancel_scope.cancel()


async def test_a_cancelled_receive_loses_nothing(ends):
    for number in range(50):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ends.far.receive)
                await trio.lowlevel.checkpoint()
                scope.cancel()
        chunk = b"%d" % number
        await ends.near.send([chunk])
        assert await receive_all(ends.far, [chunk]) == [chunk]


async def test_an_end_that_closes_is_seen_at_the_other_as_the_end(ends):
    await ends.near.send([b"last words"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.near.aclose)
        with trio.fail_after(5):
            assert await receive_all(ends.far, [b"last words"]) == [b"last words"]
            assert await ends.far.receive() == b""
            assert await ends.far.receive() == b""


async def test_a_closed_end_neither_sends_nor_receives(ends):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.far.receive)
        await ends.near.aclose()
        await ends.near.aclose()
    for _ in range(2):
        with pytest.raises(Disconnected):
            await ends.near.send([b"x"])
        with pytest.raises(Disconnected):
            while await ends.near.receive():
                pass
            raise Disconnected  # the good order of one's own closing is told as the end


async def test_closing_wakes_who_receives_at_this_end(ends):
    ended = []

    async def receive():
        try:
            ended.append(await ends.near.receive())
        except Disconnected as error:
            ended.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        nursery.start_soon(ends.far.receive)
        await wait_all_tasks_blocked(0.01)
        with trio.fail_after(5):
            await ends.near.aclose()

    assert ended == [b""] or isinstance(ended[0], Disconnected)


async def test_closing_wakes_who_sends_at_this_end(ends):
    ended = []

    async def flood():
        with pytest.raises(Disconnected):
            while True:
                await ends.near.send([bytes(64 * 1024)])
        ended.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        await wait_all_tasks_blocked(0.05)
        with trio.fail_after(5):
            await ends.near.aclose()

    assert ended


async def test_sending_to_an_end_that_has_closed_fails_before_long(ends):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ends.near.aclose)
        with trio.fail_after(5), pytest.raises(Disconnected):
            while True:
                await ends.far.send([bytes(1000)])


@pytest.mark.parametrize("name", CONNECTIONS)
async def test_a_connection_that_is_reset_is_a_link_that_was_cut(name):
    async with link_over(name) as ends:
        reset(ends.near)
        with trio.fail_after(5):
            with pytest.raises(Disconnected, match=r"the link to .* is gone"):
                while await ends.far.receive():
                    pass
            with pytest.raises(Disconnected):
                for _ in range(100):
                    await ends.far.send([bytes(1000)])


def reset(link):
    """Break the connection with a TCP reset, as a process that is killed or a router does."""
    if isinstance(link, QuicLink):
        link._connection.abort(FAULT, "")  # which is as near to it as QUIC comes
        return
    if isinstance(link, SshLink):
        transport = link._channel._connection._transport
        linger_not(transport.get_extra_info("socket"))
        link._channel._engine.soon(transport.abort)
        return
    socket = link
    while not hasattr(socket, "close"):
        # Down through what wraps it: a WebSocket's stream, TLS, and the socket at the bottom.
        below = (getattr(socket, name, None) for name in ("_below", "_stream", "_socket"))
        socket = next(each for each in below if each is not None)
    linger_not(socket)
    socket.close()


def linger_not(socket):
    """Have *socket* reset when it is closed."""
    socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SOL_SOCKET, SO_LINGER: on, for 0 seconds


async def test_a_message_above_the_limit_cuts_the_link_and_both_ends_learn_why():
    """On a framed link the decoder counts, and has tests of its own."""
    async with link_over("ws-plain", limits=Limits(frame_bytes=1000)) as ends:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.near.send, [bytes(1001)])
            for link in (ends.far, ends.near):
                with trio.fail_after(5), pytest.raises(Disconnected, match=r"1009 .*1000 bytes"):
                    await link.receive()


@pytest.mark.parametrize("name", ROADS)
async def test_an_end_knows_where_the_other_is_and_whether_others_listen(name):
    async with link_over(name) as ends:
        for link in (ends.near, ends.far):
            assert link.is_confidential
            assert link.peer_address.startswith("memory:" if name == "memory" else "127.0.0.1:")


@pytest.mark.parametrize("name", ROADS)
async def test_an_encrypted_link_knows_the_key_at_the_other_end_and_no_other_does(name):
    async with link_over(name) as ends:
        keys = (FAR_KEY.public_key, NEAR_KEY.public_key) if name in ENCRYPTED else (None, None)
        assert (ends.near.credential, ends.far.credential) == keys


@pytest.mark.parametrize("name", ROADS)
@pytest.mark.parametrize("format", ["json", "msgpack"])
async def test_both_ends_agree_on_the_format(name, format):
    async with link_over(name, format=format) as ends:
        assert ends.near.format == ends.far.format == format
