"""The road by real sockets, and what becomes of it when they are not well."""

from contextlib import asynccontextmanager
from functools import partial

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet.errors import Disconnected, RateLimited, SettingsError, Unreachable
from alknet.transport import road
from alknet.transport.address import Address
from alknet.transport.dns import dialling
from alknet.transport.dns.dialling import dial, servers
from alknet.transport.guard import doorkeeper
from alknet.transport.probe import why_not_listen
from alknet.wire.limits import DEFAULT_LIMITS, Limits

from ...contract.roads import GATE, TRUST

ZONE = "tunnel.example"


async def echo(link):
    while data := await link.receive():
        await link.send([data])


@asynccontextmanager
async def listening(serve=echo, *, limits=DEFAULT_LIMITS, url=f"dns://127.0.0.1:0/{ZONE}"):
    """Run a name server and yield its URL, and the nursery in which it runs."""
    async with trio.open_nursery() as nursery:
        listen = partial(road.listen, limits=limits, gate=GATE)
        url = await nursery.start(listen, url, serve)
        yield url, nursery
        nursery.cancel_scope.cancel()


def port_of(url):
    return int(url.split(":")[2].split("/")[0])


async def said_back(link, words):
    await link.send([words])
    heard = b""
    while len(heard) < len(words):
        heard += await link.receive()
    return heard


@pytest.mark.parametrize("ask", [dns.asyncquery.udp, dns.asyncquery.tcp], ids=["udp", "tcp"])
async def test_anybody_may_ask_by_udp_and_by_tcp(ask):
    async with listening() as (url, _):
        question = dns.message.make_query(ZONE, "SOA")
        answer = await ask(question, "127.0.0.1", timeout=5, port=port_of(url))
        assert answer.rcode() == dns.rcode.NOERROR
        assert answer.answer


async def test_an_answer_leaves_from_where_the_question_came_in():
    """A resolver takes no other, and this machine has more addresses than one."""
    async with listening(url=f"dns://0.0.0.0:0/{ZONE}") as (url, _):
        question = dns.message.make_query(ZONE, "SOA")
        answer = await dns.asyncquery.udp(question, "127.0.0.2", timeout=5, port=port_of(url))
        assert answer.answer


async def test_garbage_by_udp_and_by_tcp_harms_nobody():
    async with listening() as (url, nursery):
        link = await road.dial(nursery, url, limits=DEFAULT_LIMITS, trust=TRUST)
        with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
            await udp.connect(("127.0.0.1", port_of(url)))
            for size in range(200):
                await udp.send(bytes([size]) * size)
        async with await trio.open_tcp_stream("127.0.0.1", port_of(url)) as tcp:
            await tcp.send_all(b"\0\x20" + b"\xff" * 32 + b"\0\0" + b"GET / HTTP/1.1\r\n\r\n" * 100)
        assert await said_back(link, b"still here") == b"still here"
        await link.aclose()


async def test_where_no_datagram_passes_all_goes_by_tcp():
    async with listening() as (url, nursery):

        async def forward(near):
            async with near, await trio.open_tcp_stream("127.0.0.1", port_of(url)) as far:
                async with trio.open_nursery() as both:

                    async def copy(one, other):
                        async for data in one:
                            await other.send_all(data)

                    both.start_soon(copy, near, far)
                    await copy(far, near)

        # Nothing listens for datagrams at this port.
        (listener,) = await nursery.start(partial(trio.serve_tcp, forward, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        link = await road.dial(
            nursery, f"dns://127.0.0.1:{port}/{ZONE}", limits=DEFAULT_LIMITS, trust=TRUST
        )
        words = bytes(20_000)
        assert await said_back(link, words) == words
        await link.aclose()


class Relay:
    """Passes datagrams between a client and the node at *url*, each after *delay*, until cut."""

    def __init__(self, url, *, delay=0.0):
        self.node = ("127.0.0.1", port_of(url))
        self.delay = delay
        self.is_cut = False

    async def run(self, *, task_status):
        with (
            trio.socket.socket(type=trio.socket.SOCK_DGRAM) as near,
            trio.socket.socket(type=trio.socket.SOCK_DGRAM) as far,
        ):
            await near.bind(("127.0.0.1", 0))
            await far.bind(("127.0.0.1", 0))
            self.client = None
            async with trio.open_nursery() as both:
                both.start_soon(self._back, near, far, both)
                task_status.started(f"dns://127.0.0.1:{near.getsockname()[1]}/{ZONE}")
                while True:
                    data, self.client = await near.recvfrom(4096)
                    both.start_soon(self._pass_on, far, data, self.node)

    async def _back(self, near, far, both):
        while True:
            data, _ = await far.recvfrom(4096)
            both.start_soon(self._pass_on, near, data, self.client)

    async def _pass_on(self, to, data, address):
        await trio.sleep(self.delay)
        if not self.is_cut:
            await to.sendto(data, address)


SOON = Limits(silence_seconds=1)


async def test_both_ends_give_up_a_road_that_is_cut_without_a_word():
    lost = []

    async def serve(link):
        await link.send([b"welcome"])
        try:
            await link.receive()
        except Disconnected as error:
            lost.append(str(error))

    async with listening(serve, limits=SOON) as (url, nursery):
        relay = Relay(url)
        link = await road.dial(nursery, await nursery.start(relay.run), limits=SOON, trust=TRUST)
        assert await link.receive() == b"welcome"
        relay.is_cut = True
        with trio.fail_after(5):
            with pytest.raises(Disconnected, match="nothing was heard of the node for 1 s"):
                await link.receive()
            await link.aclose()
            while not lost:
                await wait_all_tasks_blocked(0.1)
    assert "is gone: nothing was heard of the peer for 1 s" in lost[0]


async def test_a_way_that_takes_longer_than_a_try_leads_there_too(monkeypatch):
    monkeypatch.setattr(dialling, "_TRY_SECONDS", 0.05)
    async with listening() as (url, nursery):
        url = await nursery.start(Relay(url, delay=0.04).run)
        link = await road.dial(nursery, url, limits=DEFAULT_LIMITS, trust=TRUST)
        assert await said_back(link, b"hello") == b"hello"
        await link.aclose()


async def test_a_session_that_another_node_does_not_know_is_a_link_that_was_cut():
    async with listening() as (url, nursery), listening() as (other, _):
        relay = Relay(url)
        link = await road.dial(
            nursery, await nursery.start(relay.run), limits=DEFAULT_LIMITS, trust=TRUST
        )
        # As a node does that was restarted.
        relay.node = ("127.0.0.1", port_of(other))
        with trio.fail_after(5), pytest.raises(Disconnected, match="knows of no such session"):
            await link.receive()
        await link.aclose()


async def test_who_is_one_too_many_hears_why():
    class Full:
        def connected(self, remote):
            raise RateLimited("there are too many links from this address")

        def failed(self, remote):
            pass

    doorkeeper.set(Full())
    async with listening() as (url, nursery):
        with pytest.raises(Unreachable, match="too many links from this address"):
            await road.dial(nursery, url, limits=DEFAULT_LIMITS, trust=TRUST)


async def test_a_url_without_a_resolver_means_those_of_this_machine(tmp_path, monkeypatch):
    """As the operating system's own file names them."""
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 192.0.2.1\nnameserver 2001:db8::1\n")
    monkeypatch.setattr(dns.resolver, "Resolver", partial(dns.resolver.Resolver, str(file)))
    url = f"dns:///{ZONE}"
    assert [where for _, where in await servers(Address.parse(url), url)] == [
        ("192.0.2.1", 53),
        ("2001:db8::1", 53),
    ]
    file.unlink()
    with pytest.raises(SettingsError, match=r"names no resolver .* as dns://9\.9\.9\.9/tunnel"):
        await servers(Address.parse(url), url)


async def test_nobody_there_is_said_with_what_was_heard_on_the_way():
    async with trio.open_nursery() as nursery:
        with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as silent:
            await silent.bind(("127.0.0.1", 0))
            url = f"dns://127.0.0.1:{silent.getsockname()[1]}/{ZONE}"
            with pytest.raises(Unreachable, match="did not answer within 1 s"):
                await dial(nursery, url, limits=DEFAULT_LIMITS, trust=TRUST, timeout=1)


async def test_a_name_server_of_another_zone_says_so():
    async with listening() as (url, nursery):
        other = url.replace(ZONE, "other.example")
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 says REFUSED of other\.example"):
            await dial(nursery, other, limits=DEFAULT_LIMITS, trust=TRUST, timeout=1)


async def test_a_port_that_is_taken_is_said_with_the_reason():
    async with listening() as (url, _):
        with pytest.raises(SettingsError, match=r"cannot listen at .*: address already in use"):
            await road.listen(url, echo, limits=DEFAULT_LIMITS)


async def test_a_port_at_which_another_name_server_hears_datagrams_is_in_use():
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as other:
        await other.bind(("127.0.0.1", 0))
        url = f"dns://127.0.0.1:{other.getsockname()[1]}/{ZONE}"
        assert await why_not_listen(Address.parse(url)) == "address already in use"
        with pytest.raises(SettingsError, match=r"cannot listen at .*: address already in use"):
            await road.listen(url, echo, limits=DEFAULT_LIMITS)
