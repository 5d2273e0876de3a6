"""Two hops: a head whose worker is itself a head, and the time it takes to tell both."""

from contextlib import asynccontextmanager

import pytest
import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import connect, open_node
from alknet._core.envelope import CallFailed
from alknet.call.offer import own, passed_on
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.errors import DeadlineExceeded, InvalidInput, NotFound, Unavailable
from alknet.identity import AccessRule, Identity
from alknet.protocol.directory import ListPeers
from alknet.testing import DelayedLink, memory_pair
from alknet.wire.limits import MOST_HOPS

from ..echo import Count, Echo, Hold, Say, Ticks, WhoAmI
from ..linked import facing, linked, running
from ..people import ALICE, ALICE_KEY, WORKER_KEY, node_settings, peer
from .test_relay import Haggle, Shop, Total

DELAY = 1.0
HOPS = 3  # caller to head, head to middle, middle to worker


@asynccontextmanager
async def attached(head, worker, name, nursery=None):
    """Attach *worker*, a dispatcher, to *head* as its peer *name*, with what it has and passes on."""
    near, far = memory_pair()
    if nursery is not None:
        near = DelayedLink(near, nursery, delay=DELAY)
    trusted = Identity(head.name, frozenset({"*", "identity:forward"}))
    up = Session(near, identity=trusted, dispatcher=worker, is_dialled=True)
    down = Session(far, identity=Identity(name), dispatcher=head)
    async with trio.open_nursery() as serving:
        await serving.start(down.run)
        await serving.start(up.run)
        head.peers.add(down)
        never = frozenset({worker.name, head.name})
        offered = [*own(worker.registry), *passed_on(worker.peers, never=never)]
        head.peers.offer(down, {each.name: each.kind for each in offered})
        try:
            yield up, down
        finally:
            head.peers.remove(down)
            serving.cancel_scope.cancel()


class Chain:
    """caller -> head -> middle -> worker, each link taking DELAY seconds if *slow*."""

    def __init__(self, client, echo, sessions):
        self.client = client
        self.echo = echo
        self.sessions = sessions

    def nothing_left(self):
        return not any(session.inbound or session.pending for session in self.sessions)


@asynccontextmanager
async def chain(*, slow=False, identity=ALICE):
    echo = Echo()
    async with (
        running(name="head") as head,
        running(name="middle") as middle,
        running(echo, Shop(), name="worker") as worker,
        trio.open_nursery() as nursery,
    ):
        delaying = nursery if slow else None
        async with (
            attached(middle, worker, "worker", delaying) as (up, down),
            attached(head, middle, "middle", delaying) as (higher, lower),
        ):
            near, far = memory_pair()
            if slow:
                near = DelayedLink(near, nursery, delay=DELAY)
            caller = Session(near, identity=None, is_dialled=True)
            answering = Session(far, identity=identity, dispatcher=head)
            await nursery.start(answering.run)
            await nursery.start(caller.run)
            sessions = (up, down, higher, lower, caller, answering)
            yield Chain(RemoteClient(caller, timeout=1000), echo, sessions)
        nursery.cancel_scope.cancel()


async def test_every_shape_of_call_takes_two_hops():
    async with chain() as each:
        client = each.client
        assert await client.call(Say("hi"), node="middle/worker") == "hi"
        assert await client.invoke("/middle/worker/echo/say", {"text": "hi"}) == "hi"
        async with client.stream(Count(500), node="middle/worker", window=7) as items:
            assert [item async for item in items] == list(range(500))
        assert await client.upload(Total(), range(500), node="middle/worker") == sum(range(500))
        async with client.duplex(Haggle(), node="middle/worker") as talk:
            for offer in range(100):
                await talk.send(offer)
                assert await anext(talk) == offer + 1
        await wait_all_tasks_blocked()
        assert each.nothing_left()


async def test_the_last_of_them_knows_who_asks():
    async with chain() as each:
        assert await each.client.call(WhoAmI(), node="middle/worker") == "alice"


async def test_what_is_not_there_is_not_found_at_any_distance():
    async with chain() as each:
        for path in ("middle/worker/echo/nope", "middle/nobody/echo/say", "middle/echo/say"):
            with pytest.raises(NotFound):
                await each.client.invoke(path, {"text": "x"})


async def test_an_abort_reaches_the_handler_in_half_a_round_trip(autojump_clock):
    """One way through every link, and nobody on the way waits for anything."""
    async with chain(slow=True) as each:
        for request in (Hold(), Ticks()):
            begun = each.echo.begun
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_ask, each.client, request)
                    await trio.sleep(HOPS * DELAY + 0.1)
                    assert (each.echo.begun, each.echo.active) == (begun + 1, 1)
                    left = trio.current_time()
                    scope.cancel()
            await trio.sleep_until(left + HOPS * DELAY + 0.1)

            assert each.echo.active == 0
            assert each.nothing_left()


async def _ask(client, request):
    if isinstance(request, Hold):
        await client.call(request, node="middle/worker")
    else:
        async with client.stream(request, node="middle/worker") as items:
            async for _ in items:
                pass


async def test_a_timeout_of_the_caller_tells_every_node_on_the_way(autojump_clock):
    async with chain(slow=True) as each:
        began = trio.current_time()
        with pytest.raises(DeadlineExceeded):
            await each.client.call(Hold(), node="middle/worker", timeout=10)
        assert trio.current_time() - began == pytest.approx(10)
        await trio.sleep(HOPS * DELAY + 0.1)

        assert each.echo.begun == 1
        assert each.echo.active == 0
        assert each.nothing_left()


async def test_one_abort_goes_out_on_each_link_and_nothing_comes_back():
    async with chain() as each:
        sent = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ask, each.client, Hold())
            await each.echo.has_begun()
            await wait_all_tasks_blocked()
            for session in each.sessions:
                _count(session.link, sent)
            nursery.cancel_scope.cancel()
        await wait_all_tasks_blocked()

        assert each.echo.active == 0
        assert len(sent) == HOPS
        assert all(b"call.aborted" in piece for piece in sent)


def _count(link, sent):
    passing = link.send

    async def send(chunks):
        sent.extend(chunks)
        await passing(chunks)

    link.send = send


async def test_calls_fail_at_once_when_the_link_between_two_nodes_goes():
    async with chain() as each:
        async with trio.open_nursery() as nursery:

            async def ask():
                with pytest.raises(Unavailable, match="worker has gone"):
                    await _ask(each.client, Hold())

            nursery.start_soon(ask)
            await each.echo.has_begun()
            with trio.fail_after(1):
                await each.sessions[0].link.aclose()
        await wait_all_tasks_blocked()
        assert each.echo.active == 0


# Circles.


async def test_two_heads_attached_to_each_other_offer_each_other_only_what_is_new():
    async with running(Echo(), name="a") as a, running(Shop(), name="b") as b:
        async with attached(a, b, "b"), attached(b, a, "a"):
            assert {name for _, name, *_ in a.peers.offers()} == {"shop/total", "shop/haggle"}
            assert all(name.startswith("echo/") for _, name, *_ in b.peers.offers())
            async with linked(a) as caller:
                assert await caller.client.upload(Total(), [1, 2], node="b") == 3
                with pytest.raises(NotFound):
                    await caller.client.call(Say("x"), node="b/a")


async def test_a_call_that_goes_round_in_a_circle_is_refused_by_the_count_of_its_hops():
    """Two heads, each of which believes that the other answers what leads through both."""
    async with running(Echo(), name="a") as a, running(name="b") as b:
        async with attached(a, b, "b") as (_, b_at_a), attached(b, a, "a") as (_, a_at_b):
            a.peers.offer(b_at_a, {f"{'a/b/' * turns}a/echo/say": "query" for turns in range(9)})
            b.peers.offer(a_at_b, {f"{'b/a/' * turns}echo/say": "query" for turns in range(9)})
            async with linked(a) as caller:
                for turns in range(1, 9):
                    path = f"{'/b/a' * turns}/echo/say"
                    with trio.fail_after(1):
                        if 2 * turns <= MOST_HOPS:
                            assert await caller.client.invoke(path, {"text": "x"}) == "x"
                        else:
                            with pytest.raises(InvalidInput, match=r"passed on 4 times.* a circle"):
                                await caller.client.invoke(path, {"text": "x"})


@pytest.mark.parametrize(("hops", "passes"), [(None, True), (0, True), (3, True), (4, False)])
async def test_the_count_of_hops_is_what_the_last_node_says(hops, passes):
    async with running(name="head") as head, running(Echo(), name="worker") as worker:
        async with attached(head, worker, "worker"), facing(head) as (_, caller):
            caller.encoder.requested("1", "/worker/echo/say", b'{"text": "x"}', hops=hops)
            await caller.send()
            event = await caller.hear()

            assert isinstance(event, CallFailed) is not passes


def test_what_is_passed_on_takes_no_path_twice():
    peers = Offering(b=["x/y", "c/x/y", "a/x/y", "c/b/x/y", "up/x/y", "c/d/e/x/y", "c/d/f/e/x/y"])

    offered = {each.name for each in passed_on(peers, never=frozenset({"a", "up"}))}
    assert offered == {"b/x/y", "b/c/x/y"}


class Offering:
    """Peers that answer operations of these names."""

    def __init__(self, **names):
        self.names = names

    def offers(self):
        for node, names in self.names.items():
            for name in names:
                yield node, name, "query", False, AccessRule()


# Over real links, by the public face.


async def test_a_node_that_connects_to_another_offers_what_it_and_its_peers_answer(keyring):
    upper = node_settings(
        peer("alice", ALICE_KEY, "*"), peer("middle", WORKER_KEY, "services:register"), name="top"
    )
    lower = node_settings(peer("worker-1", WORKER_KEY, "services:register"), name="middle")
    echo = Echo()
    with structlog.testing.capture_logs():
        async with (
            open_node(upper, keyring=keyring) as top,
            open_node(lower, keyring=keyring, services=[Shop()]) as middle,
            connect(top.url, identity=WORKER_KEY, node=middle.dispatcher),
            connect(top.url, identity=ALICE_KEY) as client,
        ):
            assert await client.upload(Total(), [1, 2], node="middle") == 3
            with pytest.raises(NotFound):
                await client.call(Say("x"), node="middle/worker-1")
            async with connect(middle.url, identity=WORKER_KEY, services=[echo]):
                with trio.fail_after(5):
                    while not await _offers(client, "worker-1/echo/say"):
                        await wait_all_tasks_blocked(0.01)
                assert await client.call(Say("x"), node="middle/worker-1") == "x"
                assert await top.client.call(Say("x"), node="middle/worker-1") == "x"
                assert await client.invoke("/any/worker-1/echo/say", {"text": "x"}) == "x"
            with trio.fail_after(5):
                while await _offers(client, "worker-1/echo/say"):
                    await wait_all_tasks_blocked(0.01)


async def _offers(client, name):
    listed = await client.call(ListPeers())
    return any(name in each.operations for each in listed.peers)
