"""Tokens with a call: it is their owner who calls then, or nobody."""

import hashlib
import time

import pytest
import structlog
import trio

from alknet import Identity, Service, handler
from alknet.errors import Forbidden, Internal, Unauthenticated, Unavailable
from alknet.protocol.auth import Denied, Granted, ReloadKeys, VerifyToken
from alknet.services.auth.keyset import AuthSettings, Token
from alknet.services.auth.tokens import sign_token
from alknet.settings import Settings
from alknet.testing import connected, key
from alknet.testing import node as run

from ..echo import Count, Echo, Hold, Shout, WhoAmI
from ..linked import facing, linked, running

GOOD, WEAK = "alk_" + "g" * 40, "alk_" + "w" * 40


def token(name, text, *scopes):
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Token(name, f"sha256:{digest}", frozenset(scopes))


@pytest.fixture
async def node():
    known = AuthSettings(tokens=(token("good", GOOD, "echo:*"), token("weak", WEAK)))
    async with run([Echo()], settings=Settings(services={"auth": known})) as node:
        yield node


@pytest.fixture
async def client(node):
    async with connected(node, name="alice", scopes=["echo:*", "services:register"]) as client:
        yield client


async def test_the_call_is_its_owners_and_the_others_are_not(client):
    assert await client.with_token(GOOD).call(WhoAmI()) == "good"
    assert await client.call(WhoAmI()) == "alice"
    assert await client.with_token(WEAK).call(WhoAmI()) == "weak"


async def test_its_owner_may_do_what_it_may_and_nothing_that_the_peer_may(client):
    assert await client.call(Shout("hi")) == "HI"
    with pytest.raises(Forbidden, match=r"'weak' may not call echo/shout"):
        await client.with_token(WEAK).call(Shout("hi"))
    assert await client.call(Shout("hi")) == "HI"


async def test_what_one_owner_is_let_in_to_the_peer_is_not(node):
    async with connected(node, name="bob", scopes=[]) as client:
        for _ in range(2):
            assert await client.with_token(GOOD).call(Shout("hi")) == "HI"
            with pytest.raises(Forbidden, match="'bob'"):
                await client.call(Shout("hi"))


async def test_streams_and_untyped_calls_take_it_too(client):
    good = client.with_token(GOOD)
    async with good.stream(Count(200), window=4) as items:
        assert [item async for item in items] == list(range(200))
    assert await good.invoke("/head/echo/whoami") == "good"
    with pytest.raises(Forbidden):
        async with client.with_token(WEAK).stream(Count(3)) as items:
            await anext(items)


async def test_one_that_is_not_good_is_nobodys_and_never_the_peers(client):
    with structlog.testing.capture_logs() as lines:
        with pytest.raises(Unauthenticated, match="it is neither an API key nor") as caught:
            await client.with_token("hunter2").call(WhoAmI())
    assert "hunter2" not in f"{caught.value}{lines}"
    assert ("auth attempt", "reject") in [(line["event"], line.get("result")) for line in lines]


async def test_one_that_is_revoked_is_good_no_more_on_a_link_that_is_open(node, client):
    good = client.with_token(GOOD)
    assert await good.call(WhoAmI()) == "good"
    node.settings.services["auth"] = AuthSettings(peers=node.settings.services["auth"].peers)
    await node.client.call(ReloadKeys())
    with pytest.raises(Unauthenticated):
        await good.call(WhoAmI())


async def test_a_signed_one_is_good_for_one_call(client):
    alice = key("alice")
    signed = sign_token(alice, hashlib.sha256(alice.public_key).digest(), time.time())
    once = client.with_token(signed)

    assert await once.call(WhoAmI()) == "alice"
    with pytest.raises(Unauthenticated, match="has been used already"):
        await once.call(WhoAmI())


async def test_a_worker_is_told_of_the_owner_and_not_of_the_token(node, client):
    async with connected(node, name="worker", services=[Echo()]):
        assert await client.with_token(GOOD).call(WhoAmI(), node="worker") == "good"
        with pytest.raises(Forbidden, match="'weak'"):
            await client.with_token(WEAK).call(Shout("hi"), node="worker")


async def test_a_node_that_cannot_verify_says_so():
    async with running(Echo()) as dispatcher, linked(dispatcher) as link:
        with pytest.raises(Unauthenticated, match="this node has no auth service"):
            await link.client.with_token(GOOD).call(WhoAmI())


async def test_it_does_not_travel_where_others_can_listen():
    async with running(Keeper(), Echo()) as dispatcher:
        async with linked(dispatcher, is_confidential=False) as link:
            with pytest.raises(Forbidden, match="the token was not sent"):
                link.client.with_token(GOOD)
            link.near.link.is_confidential = True
            with pytest.raises(Unauthenticated, match="replace the token"):
                await link.client.with_token(GOOD).call(WhoAmI())


async def test_within_the_process_there_are_none(node):
    with pytest.raises(Unauthenticated, match="takes no token"):
        node.client.with_token(GOOD)


class Keeper(Service, namespace="auth"):
    """An auth service that takes its time."""

    def __init__(self, verdict=None):
        self.verdict = verdict or Granted(Identity("kept", frozenset({"echo:*"})))
        self.go = trio.Event()
        self.asked = 0

    @handler(concurrent=True)
    async def verify(self, _: VerifyToken) -> Granted | Denied:
        self.asked += 1
        await self.go.wait()
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    async def was_asked(self, times=1):
        while self.asked < times:
            await trio.lowlevel.checkpoint()


async def test_what_is_being_verified_counts_as_in_flight_and_can_be_given_up():
    keeper, echo = Keeper(), Echo()
    async with running(keeper, echo) as dispatcher, linked(dispatcher) as link:
        with trio.move_on_after(1) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(link.client.with_token(GOOD).call, Hold())
                await keeper.was_asked()
                assert len(link.far.inbound) == 1
                scope.cancel()
        while link.far.inbound:
            await trio.lowlevel.checkpoint()
        keeper.go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert echo.begun == 0, "what was given up never begins"
        measure = dispatcher.registry.find("auth/verify-token").measure
        assert (measure.in_flight, measure.errors) == (0, {"ABORTED": 1})


async def test_an_id_that_is_being_verified_is_in_use():
    keeper = Keeper()
    async with running(keeper, Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        for _ in range(2):
            peer.encoder.requested("1", "/echo/whoami", b"{}", auth_token=GOOD)
        await peer.send()
        assert "is in use" in (await peer.hear()).message
        keeper.go.set()
        assert (await peer.hear()).output == b'"kept"'


async def test_credit_that_comes_meanwhile_is_not_lost():
    keeper = Keeper()
    async with running(keeper, Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        peer.encoder.requested("1", "/echo/count", b'{"to": 5}', auth_token=GOOD, window=1)
        peer.encoder.credit("1", 3)
        await peer.send()
        await keeper.was_asked()
        await trio.testing.wait_all_tasks_blocked()
        keeper.go.set()
        assert [(await peer.hear()).output for _ in range(4)] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("error", [Unavailable("restarting"), ZeroDivisionError()])
async def test_an_auth_service_that_fails_lets_nobody_in(error):
    keeper = Keeper(error)
    keeper.go.set()
    async with running(keeper, Echo()) as dispatcher, linked(dispatcher) as link:
        with pytest.raises((Unavailable, Internal)):
            await link.client.with_token(GOOD).call(WhoAmI())
        assert await link.client.call(WhoAmI()) == "alice"


async def test_its_owner_speaks_for_others_only_if_it_may():
    """A head's link does not lend the right to somebody whose token comes over it."""
    keeper = Keeper()
    keeper.go.set()
    head = Identity("head", frozenset({"*"}))
    async with running(keeper, Echo()) as dispatcher:
        async with facing(dispatcher, identity=head) as (_, peer):
            peer.encoder.requested(
                "1",
                "/echo/whoami",
                b"{}",
                auth_token=GOOD,
                forwarded_for=b'{"id":"root","scopes":["*"]}',
            )
            await peer.send()
            assert (await peer.hear()).output == b'"kept"'


async def test_it_is_bounded_like_any_call():
    keeper = Keeper()
    async with running(keeper, Echo()) as dispatcher, facing(dispatcher) as (session, peer):
        most = session.limits.calls_in_flight
        for number in range(most + 1):
            peer.encoder.requested(str(number), "/echo/whoami", b"{}", auth_token=GOOD)
        await peer.send()
        refused = await peer.hear()
        assert (refused.id, refused.code) == (str(most), "RATE_LIMITED")
