"""A fast producer and a consumer that stalls: what is held meanwhile, and how it ends."""

import gc
import tracemalloc
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import Duplex, Service, Subscription, handler, operation
from alknet._core.envelope import CallAborted, CallFailed, CallRequested, CallResponded
from alknet.call.items import DEFAULT_WINDOW
from alknet.errors import DeadlineExceeded, SlowConsumer
from alknet.wire.limits import UNSENT_PAUSE_BYTES, Limits

from ..echo import Count, Echo, Silence
from ..linked import facing, linked, running, working

ITEM_BYTES = 4096
STALLED = 30.0
LIMITS = Limits(stalled_seconds=STALLED)


@operation("spring/flow")
class Flow(Subscription[str], frozen=True):
    """Yield text without an end, as fast as it is taken."""


class Spring(Service, namespace="spring"):
    def __init__(self):
        self.made = 0
        self.has_closed = trio.Event()

    @handler
    async def flow(self, _: Flow) -> AsyncIterator[str]:
        try:
            while True:
                self.made += 1
                yield f"{self.made:x}".rjust(ITEM_BYTES)
        finally:
            self.has_closed.set()


async def settled(spring):
    """Return when the producer makes no more."""
    made = -1
    while made != spring.made:
        made = spring.made
        await wait_all_tasks_blocked()


async def held(spring):
    """Return how many bytes are held more than before, when the producer has come to rest."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        await settled(spring)
        gc.collect()
        yield tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


WHERE = ["near", "far", "relayed"]


@pytest.mark.parametrize("where", WHERE)
async def test_a_stalled_consumer_holds_one_window_and_little_more(where):
    spring = Spring()
    async with running(*([] if where == "relayed" else [spring])) as dispatcher:
        async with linked(dispatcher) as link, working(dispatcher, *_at_worker(where, spring)):
            client = dispatcher.client(None) if where == "near" else link.client
            node = "worker-1" if where == "relayed" else "head"
            measure = held(spring)
            await anext(measure)
            async with client.stream(Flow(), node=node) as items:
                await anext(items)
                bytes_held = await anext(measure)

                assert spring.made <= DEFAULT_WINDOW + 2
                assert bytes_held < 2 * DEFAULT_WINDOW * ITEM_BYTES + 100_000
            await measure.aclose()


def _at_worker(where, spring):
    return [spring] if where == "relayed" else [Echo()]


@pytest.mark.parametrize("where", ["far", "relayed"])
@pytest.mark.parametrize("window", [None, 2**40])
async def test_who_grants_all_and_reads_nothing_holds_a_bounded_amount(where, window):
    """What the link does not take is not made, nor does it gather at the node in between."""
    spring = Spring()
    async with running(*([] if where == "relayed" else [spring])) as dispatcher:
        async with (
            working(dispatcher, *_at_worker(where, spring)),
            facing(dispatcher) as (session, peer),
        ):
            path = "/worker-1/spring/flow" if where == "relayed" else "/spring/flow"
            measure = held(spring)
            await anext(measure)
            peer.encoder.requested("1", path, b"{}", window=window)
            await peer.send()
            bytes_held = await anext(measure)

            # The memory link itself takes 64 messages; a relay has up to 256 items on their way.
            most = UNSENT_PAUSE_BYTES + (64 + 256 + 8) * (ITEM_BYTES + 200)
            assert session.outbox.unsent_bytes < most
            assert bytes_held < 2 * most + 200_000
            await measure.aclose()

            for _ in range(2000):
                assert isinstance(await peer.hear(), CallResponded)
            assert spring.made > 2000, "who reads again gets more"


@pytest.mark.parametrize("where", ["far", "relayed"])
@pytest.mark.parametrize("window", [3, None])
async def test_a_consumer_that_stalls_for_too_long_is_told_so(where, window, autojump_clock):
    spring = Spring()
    async with running(*([] if where == "relayed" else [spring])) as dispatcher:
        async with (
            working(dispatcher, *_at_worker(where, spring), near_limits=LIMITS),
            facing(dispatcher, limits=LIMITS) as (session, peer),
        ):
            path = "/worker-1/spring/flow" if where == "relayed" else "/spring/flow"
            peer.encoder.requested("1", path, b"{}", window=window)
            await peer.send()
            began = trio.current_time()
            await spring.has_closed.wait()
            waited = trio.current_time() - began
            event = await peer.hear()
            while isinstance(event, CallResponded):
                event = await peer.hear()

            assert isinstance(event, CallFailed)
            assert (event.id, event.code, event.retryable) == ("1", "SLOW_CONSUMER", True)
            assert "it has waited 30 s for room" in event.message
            assert STALLED <= waited <= STALLED + 0.1
            assert not session.inbound


@operation("spring/exchange")
class Exchange(Duplex[str, str], frozen=True):
    """Yield what comes."""


class Market(Service, namespace="spring"):
    @handler
    async def exchange(self, _: Exchange, items: AsyncIterator[str]) -> AsyncIterator[str]:
        async for item in items:
            yield item


async def test_the_ends_of_a_duplex_may_pause_as_long_as_they_like(autojump_clock):
    """One that forwards a connection has no say in when a program reads."""
    async with running(Market()) as dispatcher, linked(dispatcher, limits=LIMITS) as link:
        async with link.client.duplex(Exchange(), window=2) as talk:
            for number in range(8):
                await talk.send(str(number))
            talk.finish_sending()
            await trio.sleep(STALLED * 10)
            assert [item async for item in talk] == list("01234567")


async def test_a_slow_consumer_is_not_a_stalled_one(autojump_clock):
    """One that makes room now and then may take as long as it likes."""
    async with running(Echo()) as dispatcher, linked(dispatcher, limits=LIMITS) as link:
        async with link.client.stream(Count(20), window=2) as items:
            got = []
            async for item in items:
                got.append(item)
                await trio.sleep(STALLED * 0.9)

    assert got == list(range(20))


async def test_the_class_of_the_error_is_the_callers_own(autojump_clock):
    async with running(Spring()) as dispatcher, linked(dispatcher, limits=LIMITS) as link:
        async with link.client.stream(Flow(), window=2) as items:
            await anext(items)
            await trio.sleep(STALLED + 1)
            with pytest.raises(SlowConsumer):
                while True:
                    await anext(items)


# A producer that has nothing.


@pytest.mark.parametrize("where", WHERE)
async def test_an_idle_timeout_ends_a_stream_on_which_nothing_comes(where, autojump_clock):
    echo = Echo()
    async with running(*([] if where == "relayed" else [echo])) as dispatcher:
        async with (
            linked(dispatcher) as link,
            working(dispatcher, *([echo] if where == "relayed" else [Spring()])),
        ):
            client = link.client
            if where == "near":
                client = dispatcher.client(None)
            node = "worker-1" if where == "relayed" else "head"
            began = trio.current_time()
            async with client.stream(Silence(), node=node, idle_timeout=7) as items:
                with pytest.raises(DeadlineExceeded, match="no item came within 7 s"):
                    await anext(items)
                assert trio.current_time() - began == pytest.approx(7)
            await trio.sleep(1)
            assert echo.active == 0


async def test_time_in_which_the_consumer_is_busy_is_not_the_producers(autojump_clock):
    async with running(Echo()) as dispatcher, linked(dispatcher) as link:
        async with link.client.stream(Count(10), window=2, idle_timeout=3) as items:
            got = []
            async for item in items:
                got.append(item)
                await trio.sleep(10)

    assert got == list(range(10))


@pytest.mark.parametrize("where", ["far", "relayed"])
async def test_the_answering_node_keeps_the_idle_timeout_for_clients_that_do_not(
    where, autojump_clock
):
    echo = Echo()
    async with running(*([] if where == "relayed" else [echo])) as dispatcher:
        async with (
            working(dispatcher, *([echo] if where == "relayed" else [Spring()])),
            facing(dispatcher) as (session, peer),
        ):
            path = "/worker-1/echo/ticks" if where == "relayed" else "/echo/ticks"
            began = trio.current_time()
            peer.encoder.requested("1", path, b"{}", idle_timeout_ms=4000)
            await peer.send()
            assert isinstance(await peer.hear(), CallResponded)
            event = await peer.hear()

            assert (event.code, event.message) == ("TIMEOUT", "echo/ticks sent nothing for 4 s")
            assert trio.current_time() - began == pytest.approx(4)
            await wait_all_tasks_blocked()
            assert echo.active == 0
            assert not session.inbound


# Nodes in between, and peers that keep to nothing.


async def test_a_worker_that_sends_more_than_it_was_granted_ends_that_call_alone():
    async with running(Echo()) as dispatcher, linked(dispatcher) as caller:
        async with facing(dispatcher) as (session, worker):
            dispatcher.peers.add(session)
            dispatcher.peers.offer(session, {"w/flow": "subscription"})
            async with caller.client.invoke_stream("/alice/w/flow", window=3) as items:
                request = await worker.hear()
                assert isinstance(request, CallRequested)
                for number in range(300):
                    worker.encoder.responded(request.id, str(number).encode())
                await worker.send()
                with pytest.raises(Exception, match="more items than it was granted"):
                    while True:
                        await anext(items)
                assert isinstance(await worker.hear(), CallAborted)
            assert not session.is_closed
            assert not caller.near.is_closed


async def test_items_beyond_what_a_worker_invited_are_not_passed_on():
    async with running(Echo()) as dispatcher, facing(dispatcher, limits=Limits()) as (_, caller):
        async with facing(dispatcher) as (session, worker):
            dispatcher.peers.add(session)
            dispatcher.peers.offer(session, {"w/sum": "upload"})
            caller.encoder.requested("1", "/alice/w/sum", b"{}")
            await caller.send()
            request = await worker.hear()
            worker.encoder.credit(request.id, 2)
            await worker.send()
            assert (await caller.hear()).items == 2
            for _ in range(3):
                caller.encoder.item("1", b"1")
            await caller.send()
            event = await caller.hear()

            assert (event.code, event.message) == (
                "INVALID_INPUT",
                "more items came than there was credit for",
            )
            heard = [type(await worker.hear()).__name__ for _ in range(3)]
            assert heard == ["CallItem", "CallItem", "CallAborted"]


async def test_a_worker_that_reads_nothing_is_spared_what_callers_would_have_it_asked():
    """Else who asks much could have the worker's link cut."""
    limits = Limits(unsent_bytes=400_000)
    async with running(Echo()) as dispatcher, facing(dispatcher) as (_, caller):
        async with facing(dispatcher, limits=limits) as (session, worker):
            dispatcher.peers.add(session)
            dispatcher.peers.offer(session, {"w/take": "query"})
            for number in range(500):
                caller.encoder.requested(
                    str(number), "/alice/w/take", b'"%s"' % (b"x" * 3000), window=0
                )
                await caller.send()
            refused = await caller.hear()

            assert (refused.code, refused.retryable) == ("UNAVAILABLE", True)
            assert "does not read fast enough what it is asked" in refused.message
            assert not session.is_closed
            while not session.outbox.is_empty:
                await worker.hear()
            caller.encoder.requested("later", "/alice/w/take", b"{}")
            await caller.send()
            while (await worker.hear()).input != b"{}":
                pass
