"""Admission: who is let in, what the others are told, and that nobody is waited for too long."""

from contextlib import asynccontextmanager

import pytest
import trio

from alknet.errors import (
    Disconnected,
    Locked,
    Refused,
    RemoteProtocolError,
    Unavailable,
    Unreachable,
)
from alknet.identity import Identity
from alknet.transport.admission import admit, enter
from alknet.transport.memory import memory_pair
from alknet.wire import handshake
from alknet.wire.limits import Limits

from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY

NODE_KEY = WORKER_KEY
ALICE = Identity("alice", frozenset({"a", "b"}))
SOON = Limits(handshake_seconds=5)


async def verify(credential):
    """Know alice, by her key and by a token, and nobody else."""
    if credential in (ALICE_KEY.public_key, "alice's token"):
        return ALICE
    return "nobody here knows you"


class Both:
    """What came of a handshake at either end."""

    def __init__(self):
        self.node = None
        self.peer = None


async def shake(
    *, key=ALICE_KEY, node_key=NODE_KEY, expect=None, verify=verify, framed=False, private=True
):
    """Run both ends of a handshake; return what each came to."""
    one, other = memory_pair()
    for link in (one, other):
        link.framed = framed
        link.is_confidential = private
    both = Both()
    async with trio.open_nursery() as nursery:

        async def node():
            try:
                both.node = await admit(one, node="head", key=node_key, verify=verify, limits=SOON)
            except Exception as error:
                both.node = error
                await one.aclose()

        nursery.start_soon(node)
        try:
            both.peer = await enter(other, key=key, expect=expect, limits=SOON)
        except Exception as error:
            both.peer = error
            await other.aclose()
    return both


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize("key", [ALICE_KEY, "alice's token"], ids=["key", "token"])
async def test_who_is_known_is_let_in_and_learns_who_the_node_is(framed, key):
    both = await shake(key=key, framed=framed, expect=NODE_KEY.public_key)

    assert both.node is ALICE
    offered, accepted = both.peer
    assert (offered.node, offered.public_key) == ("head", NODE_KEY.public_key)
    assert (accepted.peer_id, accepted.scopes) == ("alice", ("a", "b"))


@pytest.mark.parametrize("key", [STRANGER_KEY, "a stranger's token"], ids=["key", "token"])
async def test_who_is_not_known_is_refused_and_told_why(key):
    both = await shake(key=key)

    for outcome in (both.node, both.peer):
        assert isinstance(outcome, Refused)
        assert str(outcome) == "nobody here knows you"


async def test_a_token_does_not_travel_where_others_can_listen():
    both = await shake(key="alice's token", private=False)

    assert isinstance(both.peer, Refused)
    assert "is not sent to memory:b in clear" in str(both.peer) or "memory:" in str(both.peer)
    assert isinstance(both.node, RemoteProtocolError | Disconnected)


async def test_a_token_that_came_in_clear_is_not_even_looked_at():
    """Whoever sends it all the same has given it away; it must at least not work."""
    one, other = memory_pair()
    one.is_confidential = False
    asked = []

    async def remember(credential):
        asked.append(credential)
        return ALICE

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_expect, Refused, one, remember)
        await other.receive()
        await other.send([handshake.encode(handshake.Response(bytes(32), token="alice's token"))])
        with pytest.raises(Refused, match="may not travel over a link that can be listened to"):
            handshake.decode(await other.receive(), handshake.Accepted)

    assert not asked


async def _expect(error, link, verify):
    with pytest.raises(error):
        await admit(link, node="head", key=NODE_KEY, verify=verify, limits=SOON)


async def test_a_node_that_is_not_the_one_expected_is_left_before_anything_is_signed():
    both = await shake(node_key=STRANGER_KEY, expect=NODE_KEY.public_key)

    assert isinstance(both.peer, Refused)
    assert isinstance(both.node, RemoteProtocolError | Disconnected)


async def test_a_locked_node_lets_in_who_does_not_mind_and_nobody_else():
    assert (await shake(node_key=None)).node is ALICE
    assert isinstance((await shake(node_key=None, expect=NODE_KEY.public_key)).peer, Locked)


async def test_when_nobody_can_tell_who_it_is_the_peer_is_told_that():
    async def broken(_):
        raise Unavailable("the service 'auth' is not running")

    both = await shake(verify=broken)

    assert isinstance(both.node, Unavailable)
    assert isinstance(both.peer, Refused)
    assert "'auth' is not running" in str(both.peer)


# Peers that do not play along.


@asynccontextmanager
async def admitting(*, framed=False):
    """Yield the far end of a link that a node admits, and what comes of it."""
    one, other = memory_pair()
    one.framed = other.framed = framed
    outcome = []

    async def node():
        try:
            outcome.append(await admit(one, node="head", key=NODE_KEY, verify=verify, limits=SOON))
        except Exception as error:
            outcome.append(error)
        await one.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(node)
        yield other, outcome


@pytest.mark.parametrize("framed", [False, True])
async def test_a_peer_that_says_nothing_is_not_waited_for(framed, autojump_clock):
    began = trio.current_time()
    async with admitting(framed=framed) as (_, outcome):
        pass

    assert trio.current_time() - began == pytest.approx(5)
    assert isinstance(outcome[0], Refused)
    assert str(outcome[0]) == "the peer did not prove who it is within 5 s"


async def test_a_peer_that_says_a_byte_at_a_time_is_not_waited_for_either(autojump_clock):
    began = trio.current_time()
    async with admitting(framed=True) as (peer, outcome):
        await peer.receive()
        for byte in (2000).to_bytes(4, "big") + b" " * 30:
            await trio.sleep(1)
            if outcome:
                break
            await peer.send([bytes([byte])])
        assert trio.current_time() - began <= 6

    assert isinstance(outcome[0], Refused)


@pytest.mark.parametrize(
    ("framed", "chunks", "words"),
    [
        (False, [b"GET / HTTP/1.1"], "does not shake hands"),
        (False, [b"x" * 9000], "its message has 9000 bytes"),
        (True, [b"GET / HTTP/1.1\r\n\r\n"], "its first frame has 1195725856 bytes"),
        (True, [b"\0\0\0\0"], "its first frame has 0 bytes"),
        (True, [b"\0\0", b"\0\0"], "its first frame has 0 bytes"),
        (True, [b"\0\1\0\0"], "its first frame has 65536 bytes"),
        (True, [b"\0\0\0\2{}"], "does not shake hands"),
        (True, [b"\0\0\0\2{", b"}"], "does not shake hands"),
    ],
)
async def test_a_peer_that_does_not_shake_hands_is_told_so(framed, chunks, words):
    async with admitting(framed=framed) as (peer, outcome):
        await peer.receive()
        for chunk in chunks:
            await peer.send([chunk])
        answer = await peer.receive()
        assert b"auth.refused" in answer

    assert isinstance(outcome[0], RemoteProtocolError)
    assert words in str(outcome[0])


@pytest.mark.parametrize("framed", [False, True])
@pytest.mark.parametrize("after", [0, 1])
async def test_a_peer_that_hangs_up_in_the_middle_is_gone(framed, after):
    async with admitting(framed=framed) as (peer, outcome):
        await peer.receive()
        if after and framed:
            await peer.send([b"\0\0"])
        await peer.aclose()

    assert isinstance(outcome[0], RemoteProtocolError | Disconnected)


async def test_what_came_behind_the_handshake_is_kept_for_the_session():
    one, other = memory_pair()
    one.framed = other.framed = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_admitted, one)
        challenge = await other.receive()
        offered = handshake.decode(challenge[4:], handshake.Challenge)
        raw = handshake.encode(handshake.respond(offered, ALICE_KEY))
        await other.send([len(raw).to_bytes(4, "big") + raw + b"and more"])
        await other.receive()

    assert one.take_unread() == b"and more"
    assert one.take_unread() == b""


async def _admitted(link):
    assert await admit(link, node="head", key=NODE_KEY, verify=verify, limits=SOON) is ALICE


# Nodes that do not play along.


async def test_a_node_that_says_nothing_is_not_waited_for(autojump_clock):
    _, other = memory_pair()
    began = trio.current_time()

    with pytest.raises(Unreachable, match="did not shake hands within 5 s"):
        await enter(other, key=ALICE_KEY, expect=None, limits=SOON)
    assert trio.current_time() - began == pytest.approx(5)


@pytest.mark.parametrize(
    ("say", "error"),
    [
        (b"HTTP/1.1 200 OK", RemoteProtocolError),
        (handshake.encode(handshake.RefusedMessage("go away")), Refused),
        (handshake.encode(handshake.Accepted("you")), RemoteProtocolError),
        (None, RemoteProtocolError),
    ],
)
async def test_a_node_that_does_not_shake_hands_is_a_fault_of_its_own(say, error):
    one, other = memory_pair()
    if say is not None:
        await one.send([say])
    await one.aclose()

    with pytest.raises(error):
        await enter(other, key=ALICE_KEY, expect=None, limits=SOON)


async def test_a_node_that_accepts_without_its_own_proof_is_refused():
    one, other = memory_pair()
    await one.send([handshake.encode(handshake.challenge("head", NODE_KEY))])
    await one.send([handshake.encode(handshake.Accepted("alice", ("*",)))])

    with pytest.raises(Refused, match="does not hold the key that it shows"):
        await enter(other, key=ALICE_KEY, expect=None, limits=SOON)
