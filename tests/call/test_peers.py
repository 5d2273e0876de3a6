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
        peers.route("worker-1", "echo/say")
    peers.add(worker)
    with pytest.raises(NotFound, match="'worker-1' is connected, but has registered no operations"):
        peers.route("worker-1", "echo/say")
    assert peers.offer(worker, OFFER) == "worker-1"

    assert peers.route("worker-1", "echo/say") is worker
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
        peers.route("worker-1", "echo/say")
    with pytest.raises(NotFound):
        peers.kind(worker, "echo/say")


async def test_of_two_links_the_one_that_registered_last_answers_then_the_one_before(peers):
    first, second = session(), session()
    for each in (first, second):
        peers.add(each)
        peers.offer(each, OFFER)
    assert peers.route("worker-1", "echo/say") is second
    peers.offer(first, OFFER)
    assert peers.route("worker-1", "echo/say") is first
    peers.remove(first)

    assert peers.route("worker-1", "echo/say") is second


async def test_a_second_link_that_registers_nothing_takes_nothing_away(peers):
    """`alknet call` with a worker's key connects as that worker while it works."""
    worker, tool = session(), session()
    peers.add(worker)
    peers.offer(worker, OFFER)
    peers.add(tool)

    assert peers.route("worker-1", "echo/say") is worker
    assert peers.names() == [("worker-1", ("echo/say", "echo/ticks"))]
    peers.remove(tool)
    assert peers.route("worker-1", "echo/say") is worker


async def test_a_link_that_stays_is_still_connected_when_the_one_that_answered_goes(peers):
    worker, tool = session(), session()
    peers.add(tool)
    peers.add(worker)
    peers.offer(worker, OFFER)
    peers.remove(worker)

    assert peers.names() == [("worker-1", ())]
    with pytest.raises(NotFound, match="is connected, but has registered no operations"):
        peers.route("worker-1", "echo/say")


async def test_peers_are_listed_by_name(peers):
    for name in ("b", "c", "a"):
        peers.add(session(name))

    assert [name for name, _ in peers.names()] == ["a", "b", "c"]


# Any of them.


class Busy:
    """A call that is not answered."""

    def failed(self, error):
        pass


def busy(worker, calls):
    for _ in range(calls):
        worker.pending.ask("/head/echo/say", b"{}", Busy())


async def test_any_is_who_has_the_fewest_calls_in_flight(peers):
    workers = [session(f"worker-{number}") for number in range(4)]
    for worker, calls in zip(workers, (3, 1, 2, 5), strict=True):
        peers.add(worker)
        peers.offer(worker, OFFER)
        busy(worker, calls)

    assert peers.route("any", "echo/say") is workers[1]
    busy(workers[1], 3)
    assert peers.route("any", "echo/say") is workers[2]


async def test_of_those_with_equally_many_each_has_its_turn(peers):
    workers = [session(f"worker-{number}") for number in range(3)]
    for worker in workers:
        peers.add(worker)
        peers.offer(worker, OFFER)

    chosen = [peers.route("any", "echo/say").peer for _ in range(9)]
    assert sorted(chosen[:3]) == ["worker-0", "worker-1", "worker-2"]
    assert chosen == chosen[:3] * 3


async def test_any_is_only_who_answers_the_operation(peers):
    able, other, silent = session("able"), session("other"), session("silent")
    for each in (able, other, silent):
        peers.add(each)
    peers.offer(able, OFFER)
    peers.offer(other, {"echo/other": "query"})
    busy(able, 10)

    assert peers.route("any", "echo/say") is able
    with pytest.raises(NotFound, match="no peer that is connected answers 'echo/nope'"):
        peers.route("any", "echo/nope")
    peers.remove(able)
    with pytest.raises(NotFound, match="no peer that is connected answers 'echo/say'"):
        peers.route("any", "echo/say")


async def test_a_peer_that_is_connected_twice_has_one_turn(peers):
    first, second, other = session("twice"), session("twice"), session("once")
    for each in (first, second, other):
        peers.add(each)
        peers.offer(each, OFFER)

    chosen = [peers.route("any", "echo/say") for _ in range(4)]
    assert first not in chosen
    assert chosen.count(second) == chosen.count(other) == 2


async def test_who_waits_for_a_change_sees_each(peers):
    worker, tool = session(), session("tool")
    for act, is_change in [
        (lambda: peers.add(worker), False),
        (lambda: peers.offer(worker, OFFER), True),
        (lambda: peers.add(tool), False),
        (lambda: peers.remove(tool), False),
        (lambda: peers.remove(worker), True),
    ]:
        changed = peers.changed
        act()
        assert changed.is_set() is is_change
