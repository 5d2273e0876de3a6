"""A SOCKS proxy whose connections a node opens, as programs see it."""

import ipaddress
from contextlib import asynccontextmanager

import pytest
import trio

from alknet import connect, open_node
from alknet.errors import SettingsError
from alknet.forwarding.socks import open_socks
from alknet.protocol.forwarding import ForwardingPolicy, ForwardingRule
from alknet.transport.connection import Connection

from ..people import ALICE_KEY
from ..services.test_forward import forwarding_settings
from .targets import LOOPBACKS, a_closed_port, echo, everything, hold, target

HELLO, GREETED = b"\x05\x01\x00", b"\x05\x00"
POLICY = ForwardingPolicy(
    "deny",
    (
        ForwardingRule("127.0.0.0/8:*", "allow"),
        ForwardingRule("[::1]:*", "allow"),
        ForwardingRule("*.invalid:*", "allow"),
    ),
)


@pytest.fixture
async def proxy(keyring):
    """A function that opens a connection to a SOCKS proxy."""
    async with (
        open_node(forwarding_settings(POLICY), keyring=keyring) as node,
        connect(node.url, identity=ALICE_KEY, format="msgpack") as client,
        open_socks(client) as where,
    ):

        @asynccontextmanager
        async def dialled():
            host, _, port = where.rpartition(":")
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                yield Connection(stream)

        yield dialled


def asked(host, port, command=1):
    """Return the request for *host*, a name or an address."""
    try:
        raw = ipaddress.ip_address(host).packed
        address = bytes((1 if len(raw) == 4 else 4,)) + raw
    except ValueError:
        address = bytes((3, len(host))) + host.encode()
    return bytes((5, command, 0)) + address + port.to_bytes(2, "big")


async def exactly(local, size, before=b""):
    """Return *size* bytes, and what has come behind them."""
    data = before
    while len(data) < size:
        more = await local.receive()
        assert more, f"it ends behind {data!r}"
        data += more
    return data[:size], data[size:]


@pytest.mark.parametrize("host", [*LOOPBACKS, "localhost"])
async def test_addresses_and_names_are_connected_to(proxy, host):
    async with target(echo, "127.0.0.1" if host == "localhost" else host) as port, proxy() as local:
        await local.send(HELLO)
        assert await exactly(local, 2) == (GREETED, b"")
        await local.send(asked(host, port))
        begin, rest = await exactly(local, 4)
        assert begin[:3] == b"\x05\x00\x00"
        where, rest = await exactly(local, 4 if begin[3] == 1 else 16, rest)
        assert str(ipaddress.ip_address(where)) in (host, "127.0.0.1")
        at, rest = await exactly(local, 2, rest)
        assert (int.from_bytes(at, "big"), rest) == (port, b"")
        await local.send(b"hello")
        await local.send_eof()
        assert await everything(local.receive) == b"hello"


async def test_who_sends_all_at_once_and_does_not_wait_is_served_too(proxy):
    async with target(echo) as port, proxy() as local:
        await local.send(HELLO + asked("127.0.0.1", port) + b"early bytes")
        await local.send_eof()
        got = await everything(local.receive)

    assert (
        got
        == GREETED + b"\x05\x00\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big") + b"early bytes"
    )


@pytest.mark.parametrize(
    ("host", "code"),
    [("10.0.0.1", 2), ("nobody.invalid", 4), ("127.0.0.1", 5), ("0.0.0.0", 2)],
)
async def test_a_failure_has_the_code_of_its_kind(proxy, host, code):
    port = await a_closed_port()
    async with proxy() as local:
        await local.send(HELLO + asked(host, port))
        # In good order: a reset could take the reply with it.
        assert await everything(local.receive) == GREETED + bytes((5, code, 0, 1, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("command", [2, 3])
async def test_bind_and_udp_are_refused(proxy, command):
    async with proxy() as local:
        await local.send(HELLO + asked("127.0.0.1", 80, command))
        assert await everything(local.receive) == GREETED + b"\x05\x07\x00\x01" + bytes(6)


async def test_a_client_that_says_nothing_sensible_is_let_go(proxy):
    async with proxy() as local:
        await local.send(b"GET / HTTP/1.1\r\n\r\n")
        assert await everything(local.receive) == b""
    async with proxy() as local:
        await local.send(HELLO[:2])
        await local.send_eof()
        assert await everything(local.receive) == b""


async def test_a_client_that_leaves_is_left(proxy):
    async with target(hold) as port, proxy() as local:
        await local.send(HELLO + asked("127.0.0.1", port))
        await exactly(local, 12)


async def test_it_listens_on_this_machine_only(keyring):
    async with open_node(forwarding_settings(), keyring=keyring) as node:
        for bind in ("0.0.0.0", "::", "192.0.2.1"):
            with pytest.raises(SettingsError, match="asks nobody who they are"):
                async with open_socks(node.client, bind=bind):
                    pass
