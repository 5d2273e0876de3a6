"""Peers: who is connected under which name, and which link answers for it."""

import pytest

from alknet.call.peers import Peers
from alknet.call.session import Session
from alknet.errors import NotFound
from alknet.identity import Identity
from alknet.transport.memory import memory_pair

OFFER = {"echo/say": "query", "echo/ticks": "subscription"}


def session(name="worker-1"):
    return Session(memory_pair()[0], identity=Identity(name))


@pytest.fixture
def peers():
    return Peers()


async def test_a_peer_can_be_called_once_it_has_registered(peers):
    worker = session()
    with pytest.raises(NotFound, match="no peer called 'worker-1' is connected"):
        peers.route("worker-1")
    peers.add(worker)
    with pytest.raises(NotFound, match="'worker-1' is connected, but has registered no operations"):
        peers.route("worker-1")
    assert peers.offer(worker, OFFER) == "worker-1"

    assert peers.route("worker-1") is worker
    assert peers.kind(worker, "echo/ticks") == "subscription"
    assert peers.names() == [("worker-1", ("echo/say", "echo/ticks"))]


async def test_what_a_peer_has_not_registered_it_does_not_answer(peers):
    worker = session()
    peers.add(worker)
    peers.offer(worker, OFFER)

    with pytest.raises(NotFound, match="there is no operation 'worker-1/echo/nope' here"):
        peers.kind(worker, "echo/nope")


async def test_registering_again_replaces_the_list(peers):
    worker = session()
    peers.add(worker)
    peers.offer(worker, OFFER)
    peers.offer(worker, {"echo/other": "query"})

    assert peers.names() == [("worker-1", ("echo/other",))]


async def test_a_peer_that_has_gone_is_gone_with_its_operations(peers):
    worker = session()
    peers.add(worker)
    peers.offer(worker, OFFER)
    peers.remove(worker)

    assert peers.names() == []
    with pytest.raises(NotFound, match="no peer called"):
        peers.route("worker-1")
    with pytest.raises(NotFound):
        peers.kind(worker, "echo/say")


async def test_of_two_links_the_one_that_registered_last_answers_then_the_one_before(peers):
    first, second = session(), session()
    for each in (first, second):
        peers.add(each)
        peers.offer(each, OFFER)
    assert peers.route("worker-1") is second
    peers.offer(first, OFFER)
    assert peers.route("worker-1") is first
    peers.remove(first)

    assert peers.route("worker-1") is second


async def test_a_second_link_that_registers_nothing_takes_nothing_away(peers):
    """`alknet call` with a worker's key connects as that worker while it works."""
    worker, tool = session(), session()
    peers.add(worker)
    peers.offer(worker, OFFER)
    peers.add(tool)

    assert peers.route("worker-1") is worker
    assert peers.names() == [("worker-1", ("echo/say", "echo/ticks"))]
    peers.remove(tool)
    assert peers.route("worker-1") is worker


async def test_a_link_that_stays_is_still_connected_when_the_one_that_answered_goes(peers):
    worker, tool = session(), session()
    peers.add(tool)
    peers.add(worker)
    peers.offer(worker, OFFER)
    peers.remove(worker)

    assert peers.names() == [("worker-1", ())]
    with pytest.raises(NotFound, match="is connected, but has registered no operations"):
        peers.route("worker-1")


async def test_peers_are_listed_by_name(peers):
    for name in ("b", "c", "a"):
        peers.add(session(name))

    assert [name for name, _ in peers.names()] == ["a", "b", "c"]
