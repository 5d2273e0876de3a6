"""services/stats: what has been counted, for whoever may know it."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import Service, handler
from alknet.call.session import Session
from alknet.errors import CallError, Forbidden, ServiceFailed
from alknet.protocol.directory import Ping
from alknet.protocol.stats import Stats
from alknet.services.directory.stats import link_stats
from alknet.testing import connected
from alknet.testing import node as run
from alknet.transport.memory import memory_pair

from ...echo import Echo, Fail, Hold, Keep, Say, Secret, Shout
from ...people import ALICE


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
async def node(echo):
    async with run([echo]) as node:
        yield node


async def told(node):
    """Return what the node tells: operations and services by name, and its links."""
    stats = await node.client.call(Stats())
    return (
        {each.name: each for each in stats.operations},
        {each.name: each for each in stats.services},
        stats.links,
    )


async def test_operations_are_told_with_their_counts(node):
    async with connected(node) as client:
        for _ in range(3):
            await client.call(Say("hi"))
        for badly in (True, False, False):
            with pytest.raises(CallError):
                await client.call(Fail(badly))
        operations, _, _ = await told(node)

    said, failed, counted = (operations[name] for name in ("echo/say", "echo/fail", "echo/count"))
    assert (said.calls, said.answered, said.errors, said.in_flight) == (3, 3, {}, 0)
    assert 0 < said.p50 <= said.p99 < 10
    assert (failed.calls, failed.answered) == (3, 0)
    assert failed.errors == {"INTERNAL": 1, "NOT_FOUND": 2}
    assert (counted.calls, counted.p50, counted.p99) == (0, None, None)


async def test_every_operation_is_told_in_order_internal_ones_too(node):
    operations, _, _ = await told(node)

    assert list(operations) == sorted(operations)
    names = {each.__operation__.name for each in (Secret, Ping, Stats, Say)}
    assert names <= operations.keys()


async def test_the_node_tells_its_name_and_its_own_question(node):
    stats = await node.client.call(Stats())
    assert stats.node == "head"
    [own] = [each for each in stats.operations if each.name == "services/stats"]
    assert (own.calls, own.in_flight) == (1, 1)


async def test_services_are_told_with_what_waits(node, echo):
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(node.client.call, Keep())
        await echo.has_begun()
        await wait_all_tasks_blocked()
        _, services, _ = await told(node)
        echo.let_go.set()

    assert list(services) == node.services
    assert (services["echo"].state, services["echo"].waiting) == ("serving", 3)
    assert (services["auth"].state, services["auth"].waiting) == ("serving", 0)


async def test_a_restarted_service_says_how_often_and_one_that_is_down_says_so(autojump_clock):
    class Frail(Service, namespace="echo"):
        @handler
        async def say(self, request: Say) -> str:
            raise ServiceFailed("enough")

    async with run([Frail()]) as node:
        with pytest.raises(CallError):
            await node.client.call(Say("hi"))
        await wait_all_tasks_blocked()
        _, down, _ = await told(node)
        await trio.sleep(1)
        _, up, _ = await told(node)

    assert (down["echo"].state, down["echo"].restarts) == ("down", 0)
    assert (up["echo"].state, up["echo"].restarts) == ("serving", 1)


async def test_a_service_that_stops_is_told_as_draining(echo):
    async with run([echo]) as node, trio.open_nursery() as nursery:
        nursery.start_soon(node.client.call, Hold())
        await echo.has_begun()
        actor = next(each for each in node._supervisor.actors if each.name == "echo")
        nursery.start_soon(actor.work.drain)
        await wait_all_tasks_blocked()
        _, services, _ = await told(node)
        assert services["echo"].state == "draining"
        echo.let_go.set()


async def test_links_are_told_with_what_is_in_flight_each_way(node, echo):
    worker = Echo()
    async with (
        connected(node, name="alice") as alice,
        connected(node, name="worker", services=[worker]),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(alice.call, Hold())
        nursery.start_soon(node.client.call, Hold())
        for _ in range(2):
            nursery.start_soon(_hold_at_worker, alice)
        await worker.has_begun(2)
        await echo.has_begun(2)
        _, _, links = await told(node)
        echo.let_go.set()
        worker.let_go.set()

    assert [(each.peer, each.asked, each.answering) for each in links] == [
        ("alice", 0, 3),
        ("worker", 2, 0),
    ]
    assert all(each.address for each in links)
    _, _, links = await told(node)
    assert links == ()


async def _hold_at_worker(client):
    await client.call(Hold(), node="worker")


async def test_what_a_link_has_not_taken_is_told():
    session = Session(memory_pair()[0], identity=ALICE)
    before = link_stats(session).unsent_bytes
    session.respond("1", b"7" * 1000, "json")

    assert before == 0
    assert 1000 < link_stats(session).unsent_bytes < 1200


@pytest.mark.parametrize(
    ("scopes", "may"),
    [((), False), (("services:peers",), False), (("services:stats",), True), (("*",), True)],
)
async def test_who_may_know_is_said_by_a_scope(node, scopes, may):
    async with connected(node, name="asker", scopes=scopes) as client:
        if may:
            assert (await client.call(Stats())).node == "head"
        else:
            with pytest.raises(Forbidden, match="services:stats"):
                await client.call(Stats())


async def test_the_answer_goes_over_json_as_it_is(node):
    async with connected(node) as client:
        await client.call(Shout("hi"))
        told = await client.invoke("/head/services/stats")

    [shout] = [each for each in told["operations"] if each["name"] == "echo/shout"]
    assert (shout["calls"], shout["errors"], shout["in_flight"]) == (1, {}, 0)
