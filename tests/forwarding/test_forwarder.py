"""Forwarder: who is connected to where, what is said of it, and when it ends."""

from contextlib import asynccontextmanager

import pytest
import trio
from structlog.testing import capture_logs

from alknet import open_node
from alknet.errors import DeadlineExceeded, Forbidden, InvalidInput, RateLimited, Unavailable
from alknet.forwarding.forwarder import Forwarder
from alknet.identity import Identity
from alknet.protocol.config import RateLimits, ReloadForwarding
from alknet.protocol.forward import ForwardLimits
from alknet.protocol.forwarding import ForwardingPolicy, ForwardingRule
from alknet.protocol.storage import ListAudit
from alknet.quota.quota import Quota
from alknet.services.config import ConfigService, ConfigSettings
from alknet.services.storage import StorageService

from ..linked import running
from ..people import node_settings
from .targets import LOOPBACKS, Noted, a_closed_port, echo, everything, hold, target

ALICE = Identity("alice")
ASKED = {"identity": ALICE, "transport": "wss", "remote": "192.0.2.1:50312"}
RATES = RateLimits()
FAR = "198.51.100.7"  # RFC 5737: nobody's


def allow(*targets, **fields):
    return ForwardingPolicy(
        "deny", tuple(ForwardingRule(each, "allow", **fields) for each in targets)
    )


class Names:
    """A resolver that knows some names, and notes who was asked for."""

    def __init__(self, **names):
        self.names = names
        self.asked = []

    async def __call__(self, host, seconds):
        self.asked.append(host)
        await trio.lowlevel.checkpoint()
        return self.names.get(host, [host])


class NodeOf:
    """Stands where a service's node would: its file never changes."""

    def __init__(self, quota):
        self.limit = quota.put


@asynccontextmanager
async def forwarding(policy, resolve=None, limits=RATES):
    """Yield a forwarder in whose node *policy* is in force, and the client of that node."""
    quota = Quota(trio.current_time)
    settings = ConfigSettings(policy, limits)
    async with (
        running(ConfigService(settings, NodeOf(quota))) as dispatcher,
        trio.open_nursery() as nursery,
    ):
        client = dispatcher.client(dispatcher.itself)
        forwarder = Forwarder(client, quota, resolve=resolve)
        nursery.start_soon(forwarder.run)
        yield forwarder, client
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_what_the_policy_allows_is_connected(host):
    block = f"[{host}]" if ":" in host else host
    async with target(echo, host) as port, forwarding(allow(f"{block}:*")) as (forwarder, _):
        async with forwarder.open(host, port, **ASKED) as forward:
            await forward.send(b"ping")
            await forward.send_eof()
            assert await everything(forward.receive) == b"ping"

        assert (forward.address, forward.sent, forward.received) == (host, 4, 4)


@pytest.mark.parametrize(
    ("policy", "host", "why"),
    [
        (ForwardingPolicy(), "127.0.0.1", "no rule matches 127.0.0.1:22, and the default is deny"),
        (
            allow("127.0.0.1:23"),
            "127.0.0.1",
            "no rule matches 127.0.0.1:22, and the default is deny",
        ),
        (
            allow("*:22", principals=("bob",)),
            "db",
            "no rule matches db:22, and the default is deny",
        ),
        (
            allow("*:22", transports=("ssh",)),
            "db",
            "no rule matches db:22, and the default is deny",
        ),
        (
            ForwardingPolicy("allow", (ForwardingRule("127.0.0.0/8:*", "deny"),)),
            "local",
            "rule 1 (127.0.0.0/8:*) says deny to local:22 at 127.0.0.1",
        ),
        (ForwardingPolicy("allow"), "0.0.0.0", "0.0.0.0:22: 0.0.0.0 is nobody's own address"),
        (ForwardingPolicy("allow"), "::", ":::22: :: is nobody's own address"),
        (ForwardingPolicy("allow"), "zero", "zero:22 at 0.0.0.0: 0.0.0.0 is nobody's own address"),
    ],
)
async def test_what_it_does_not_is_refused_with_the_rule(policy, host, why):
    names = Names(local=["127.0.0.1"], db=["127.0.0.1"], zero=["0.0.0.0"])
    async with forwarding(policy, names) as (forwarder, _):
        with capture_logs() as lines, pytest.raises(Forbidden) as caught:
            async with forwarder.open(host, 22, **ASKED):
                raise AssertionError("it is not open")

    assert caught.value.message == why
    [line] = lines
    assert list(line)[:3] == ["remote", "result", "why"]
    assert line["event"] == "forward attempt"
    assert (line["remote"], line["result"], line["why"]) == ("192.0.2.1:50312", "reject", why)
    assert (line["peer"], line["transport"]) == ("alice", "wss")


async def test_a_name_that_is_denied_is_not_even_asked_for():
    names = Names()
    policy = ForwardingPolicy("allow", (ForwardingRule("*.evil.example:*", "deny"),))
    async with forwarding(policy, names) as (forwarder, _):
        with pytest.raises(Forbidden):
            async with forwarder.open("a.evil.example", 80, **ASKED):
                pass

    assert names.asked == []


async def test_of_a_names_addresses_only_those_allowed_are_tried():
    names = Names(both=[FAR, "127.0.0.1"])
    policy = ForwardingPolicy("allow", (ForwardingRule("198.51.100.0/24:*", "deny"),))
    async with target(echo) as port, forwarding(policy, names) as (forwarder, _):
        with capture_logs() as lines, trio.fail_after(1):
            async with forwarder.open("both", port, **ASKED) as forward:
                assert forward.address == "127.0.0.1"

    said = [(line["address"], line["result"]) for line in lines if "result" in line]
    assert said == [(FAR, "reject"), ("127.0.0.1", "accept")]


async def test_a_name_is_asked_for_once_so_that_its_owner_cannot_answer_otherwise():
    """DNS rebinding: the address that is connected to is the one that was judged."""

    class Rebinding(Names):
        async def __call__(self, host, seconds):
            await super().__call__(host, seconds)
            return ["127.0.0.1"] if len(self.asked) == 1 else [FAR]

    names = Rebinding()
    async with target(echo) as port, forwarding(allow("127.0.0.1:*"), names) as (forwarder, _):
        async with forwarder.open("turncoat", port, **ASKED) as forward:
            assert forward.address == "127.0.0.1"
    assert names.asked == ["turncoat"]


async def knock(port):
    async with await trio.open_tcp_stream("127.0.0.1", port):
        await trio.sleep_forever()


async def test_an_address_that_does_not_answer_costs_a_quarter_of_a_second():
    """One address takes no connections at all: its queue of them is full."""
    [full] = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=0)
    port = full.socket.getsockname()[1]
    [listening] = await trio.open_tcp_listeners(port, host="127.0.0.2")
    async with full, listening, trio.open_nursery() as waiting:
        for _ in range(4):
            waiting.start_soon(knock, port)
        names = Names(both=["127.0.0.1", "127.0.0.2"])
        async with forwarding(allow("127.0.0.0/8:*"), names) as (forwarder, _):
            with trio.fail_after(5):
                async with forwarder.open("both", port, **ASKED) as forward:
                    assert forward.address == "127.0.0.2"

            forwarder.limits = ForwardLimits(connect_seconds=0.05)
            with pytest.raises(Unavailable, match=r"no answer within 0\.05 s") as caught:
                async with forwarder.open("127.0.0.1", port, **ASKED):
                    pass
            assert caught.value.details == {"reason": "timeout"}
        waiting.cancel_scope.cancel()


async def test_a_target_that_refuses_is_told_apart():
    port = await a_closed_port()
    async with forwarding(allow("127.0.0.1:*")) as (forwarder, _):
        with pytest.raises(Unavailable, match="connection refused") as caught:
            async with forwarder.open("127.0.0.1", port, **ASKED):
                pass
    assert caught.value.details == {"reason": "refused"}


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("", 22, "a host is missing"),
        ("x" * 254, 22, "a name of at most 253 ASCII characters"),
        ("zürich.example", 22, "written in punycode"),
        ("a\nb", 22, "a name of at most 253 ASCII characters"),
        ("127.0.0.1", 0, "0 is no port"),
        ("127.0.0.1", 65536, "65536 is no port"),
    ],
)
async def test_what_is_no_host_or_no_port_is_said(host, port, message):
    """Before it is judged: what a peer makes up is not logged either."""
    async with forwarding(ForwardingPolicy("deny")) as (forwarder, _):
        with pytest.raises(InvalidInput, match=message):
            async with forwarder.open(host, port, **ASKED):
                pass


@pytest.mark.parametrize("host", ["nobody.invalid", "a..b", "127.0.0.1.2"])
async def test_a_name_that_there_is_not_is_said(host):
    """RFC 2606 keeps `.invalid` for names that never exist."""
    async with forwarding(ForwardingPolicy("allow")) as (forwarder, _):
        with pytest.raises(Unavailable, match="cannot be resolved") as caught:
            async with forwarder.open(host, 22, **ASKED):
                pass
    assert caught.value.details == {"reason": "name-unknown"}


async def test_one_identity_has_so_many_at_a_time():
    limits = RateLimits(max_forwards_per_identity=2)
    async with (
        target(hold) as port,
        forwarding(ForwardingPolicy("allow"), None, limits) as (forwarder, _),
    ):
        async with forwarder.open("127.0.0.1", port, **ASKED):
            async with forwarder.open("127.0.0.1", port, **ASKED):
                with pytest.raises(RateLimited, match="'alice' has 2 connections forwarded"):
                    async with forwarder.open("127.0.0.1", port, **ASKED):
                        pass
                bob = {**ASKED, "identity": Identity("bob")}
                async with forwarder.open("127.0.0.1", port, **bob):
                    pass
            async with forwarder.open("127.0.0.1", port, **ASKED):
                pass


async def test_a_policy_that_denies_it_now_ends_a_forward_that_runs():
    async with target(hold) as port, forwarding(ForwardingPolicy("allow")) as (forwarder, client):
        other = {**ASKED, "identity": Identity("bob")}
        async with forwarder.open("127.0.0.1", port, **other) as kept:
            with trio.fail_after(5), pytest.raises(Forbidden, match="policy has changed: no rule"):
                async with forwarder.open("127.0.0.1", port, **ASKED) as forward:
                    await client.call(ReloadForwarding(allow("127.0.0.1:*", principals=("bob",))))
                    await forward.receive()
            await kept.send(b"still there")


async def test_nothing_moving_for_long_ends_it(mock_clock):
    async with target(hold) as port, forwarding(ForwardingPolicy("allow")) as (forwarder, _):
        forwarder.limits = ForwardLimits(idle_seconds=60)
        async with (
            forwarder.open("127.0.0.1", port, **ASKED) as forward,
            trio.open_nursery() as nursery,
        ):

            async def time_passes():
                mock_clock.rate = 1000

            nursery.start_soon(time_passes)
            with pytest.raises(DeadlineExceeded, match="nothing has moved"):
                await forward.receive()


async def test_a_block_that_fails_resets_the_connection():
    """A target that has half of something must not take it for the whole."""
    half, whole = Noted(), Noted()
    rest = iter((half, whole))

    async def read(stream):
        await next(rest)(stream)

    async with target(read) as port, forwarding(ForwardingPolicy("allow")) as (forwarder, _):
        with pytest.raises(ZeroDivisionError):
            async with forwarder.open("127.0.0.1", port, **ASKED) as forward:
                await forward.send(b"half")
                raise ZeroDivisionError
        await half.ended()
        async with forwarder.open("127.0.0.1", port, **ASKED) as forward:
            await forward.send(b"whole")
        await whole.ended()
    assert (half.got, whole.got) == (None, b"whole")


async def test_every_decision_is_in_the_audit_log(keyring):
    quota = Quota(trio.current_time)
    settings = node_settings(listen=())
    settings.services["storage"] = StorageService.settings_type()
    async with open_node(settings, keyring=keyring) as node, target(echo) as port:
        forwarder = Forwarder(node.client, quota)
        await node.client.call(ReloadForwarding(allow("127.0.0.1:*")))
        async with forwarder.open("127.0.0.1", port, **ASKED):
            pass
        with pytest.raises(Forbidden):
            async with forwarder.open("10.0.0.1", 22, **ASKED):
                pass
        entries = (await node.client.call(ListAudit())).entries

    found = [
        (each.action, each.subject, each.details["peer"])
        for each in entries
        if each.action.startswith("forward.")
    ]
    assert found == [
        ("forward.accepted", f"127.0.0.1:{port}", "alice"),
        ("forward.refused", "10.0.0.1:22", "alice"),
    ]
