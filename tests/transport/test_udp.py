"""UDP sockets: what the kernel does for us arrives as it was sent."""

import socket
from contextlib import contextmanager

import pytest
import trio

from alknet.transport.udp import UdpSocket

HOSTS = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


@contextmanager
def pair(family, host, *, bound=None):
    """Yield a socket that sends, one that listens, and the address of that."""
    anywhere = (bound or host, 0)
    listener = UdpSocket(family, anywhere, listens=True)
    sender = UdpSocket(family, (host, 0), listens=False)
    address = (host, listener.port) if family == socket.AF_INET else (host, listener.port, 0, 0)
    try:
        yield sender, listener, address
    finally:
        sender.close()
        listener.close()


async def received(listener, size):
    """Return what arrives, until it is *size* bytes, as (data, stride, ecn, local) each."""
    found = []
    with trio.fail_after(5):
        while sum(len(each[0]) for each in found) < size:
            await trio.lowlevel.wait_readable(listener.raw)
            data, _, stride, ecn, local = listener.receive()
            found.append((data, stride, ecn, local))
    return found


def pieces(found):
    return [
        data[start : start + (stride or len(data))]
        for data, stride, _, _ in found
        for start in range(0, len(data), stride or len(data))
    ]


@pytest.mark.parametrize(("family", "host"), HOSTS)
async def test_what_is_sent_in_one_piece_arrives_as_the_datagrams_that_it_was_cut_into(
    family, host
):
    data = b"".join(bytes([number]) * 1200 for number in range(10)) + b"the rest"
    with pair(family, host) as (sender, listener, address):
        assert sender.send((data, address, 1200, 2, None))
        found = await received(listener, len(data))
    assert pieces(found) == [data[start : start + 1200] for start in range(0, len(data), 1200)]


@pytest.mark.parametrize(("family", "host"), HOSTS)
@pytest.mark.parametrize("ecn", [0, 1, 2, 3])
async def test_the_bits_of_congestion_arrive(family, host, ecn):
    with pair(family, host) as (sender, listener, address):
        assert sender.send((b"x", address, 0, ecn, None))
        assert await received(listener, 1) == [(b"x", 0, ecn, None)]


@pytest.mark.parametrize(
    ("family", "host", "bound"),
    [(socket.AF_INET, "127.0.0.2", "0.0.0.0"), (socket.AF_INET6, "::1", "::")],
)
async def test_who_listens_everywhere_knows_where_he_was_asked_and_answers_from_there(
    family, host, bound
):
    with pair(family, host, bound=bound) as (sender, listener, address):
        assert sender.send((b"x", address, 0, 2, None))
        ((_, _, _, local),) = await received(listener, 1)
        assert local == host
        back = (host, sender.port) if family == socket.AF_INET else (host, sender.port, 0, 0)
        assert listener.send((b"y", back, 0, 2, local))
        await trio.lowlevel.wait_readable(sender.raw)
        data, source, *_ = sender.receive()
        assert (data, source[0]) == (b"y", host)


async def test_that_nobody_is_there_is_told_and_the_socket_can_be_used_on():
    with pair(*HOSTS[0]) as (sender, listener, address):
        gone = UdpSocket(*HOSTS[0][:1], ("127.0.0.1", 0), listens=True)
        nobody = ("127.0.0.1", gone.port)
        gone.close()
        assert sender.send((b"x", nobody, 0, 2, None))
        with trio.fail_after(5):
            await trio.lowlevel.wait_readable(sender.raw)
        assert sender.receive() is None
        assert sender.refusals == 1
        # Nothing is left that would have it count as readable.
        with trio.move_on_after(0.05) as waited:
            await trio.lowlevel.wait_readable(sender.raw)
        assert waited.cancelled_caught
        assert sender.send((b"y", address, 0, 2, None))
        assert await received(listener, 1) == [(b"y", 0, 2, None)]


async def test_an_address_that_nobody_can_have_says_nothing_about_the_road():
    """Datagrams can be made up that come from port 0, and an answer cannot be sent there."""
    with pair(*HOSTS[0]) as (sender, listener, address):
        segments = sender.segments
        assert sender.send((bytes(300), ("127.0.0.1", 0), 100, 2, None))
        assert sender.failures
        assert sender.segments == segments
        assert sender.send((b"x", address, 0, 2, None))
        assert await received(listener, 1) == [(b"x", 0, 2, None)]


async def test_a_datagram_that_is_too_large_for_the_road_is_lost_and_no_fault():
    with pair(*HOSTS[0]) as (sender, listener, address):
        assert sender.send((bytes(65_600), address, 0, 2, None))
        assert sender.send((b"x", address, 0, 2, None))
        assert await received(listener, 1) == [(b"x", 0, 2, None)]
