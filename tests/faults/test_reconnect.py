"""A link that is lost: what was in flight is told so, and what comes later finds the next link."""

import random
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import NodeSettings, Settings
from alknet.call.backoff import FIRST_PAUSE
from alknet.call.redial import LONGEST_AWAY
from alknet.errors import (
    AlknetError,
    CallError,
    DeadlineExceeded,
    Disconnected,
    Forbidden,
    Internal,
)
from alknet.testing import (
    Fault,
    Faults,
    FaultyRoad,
    connected,
    introduce,
    memory_pair,
    no_orphans,
    node,
    road_to,
)

from .ledger import (
    Crash,
    Double,
    Follow,
    Hold,
    HoldAgain,
    HoldQuery,
    Ledger,
    Lines,
    Pay,
    Put,
    Read,
    Sum,
    SumAgain,
)


class Linked:
    """A ledger behind a road that can be cut, and a client that comes back."""

    def __init__(self, ledger, road, client):
        self.ledger = ledger
        self.road = road
        self.client = client

    async def cut(self):
        """Cut the link, and return when both ends have seen it."""
        self.road.cut()
        await wait_all_tasks_blocked()

    async def block(self):
        """Cut the link, and let no other be opened."""
        self.road.block()
        await wait_all_tasks_blocked()


@asynccontextmanager
async def linked(*, faults=Faults(), framed=False, seed=0, **options):  # noqa: B008
    ledger = Ledger()
    async with node([ledger]) as here:
        road = FaultyRoad(road_to(here, framed=framed), faults, seed=seed)
        options.setdefault("reconnect", True)
        async with connected(here, dial=road.dial, **options) as client:
            yield Linked(ledger, road, client)


async def outcome_of(call, *arguments, **options):
    """Return the reply, or the error instead of raising it."""
    try:
        return await call(*arguments, **options)
    except CallError as error:
        return error


async def endless():
    """Yield nothing, and do not end."""
    await trio.sleep_forever()
    yield 0


# What was in flight.


@pytest.mark.parametrize(
    ("ask", "retryable"),
    [
        (lambda client: client.call(HoldQuery()), True),
        (lambda client: client.call(HoldAgain()), True),
        (lambda client: client.call(Hold()), False),
        (lambda client: client.invoke("/head/ledger/hold", {}), False),
        (lambda client: client.upload(SumAgain(), endless()), True),
        (lambda client: client.upload(Sum(), endless()), False),
    ],
    ids=["query", "idempotent", "mutation", "untyped", "idempotent upload", "upload"],
)
@pytest.mark.parametrize("reconnect", [False, True])
async def test_a_call_in_flight_says_whether_it_may_be_asked_again(
    ask, retryable, reconnect, autojump_clock
):
    outcomes = []
    async with linked(reconnect=reconnect) as link, trio.open_nursery() as nursery:

        async def call():
            outcomes.append(await outcome_of(ask, link.client))

        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        link.road.cut()

    (error,) = outcomes
    assert type(error) is Disconnected
    assert error.retryable is retryable


@pytest.mark.parametrize("request_", [Hold(), HoldAgain(), HoldQuery()], ids=repr)
async def test_the_handler_of_a_call_whose_link_is_lost_is_cancelled(request_, autojump_clock):
    async with linked() as link, trio.open_nursery() as nursery:
        nursery.start_soon(outcome_of, link.client.call, request_)
        await wait_all_tasks_blocked()
        assert link.ledger.active == 1
        await link.cut()
        assert link.ledger.active == 0


async def test_without_reconnection_later_calls_fail_too(autojump_clock):
    async with linked(reconnect=False) as link:
        await link.cut()
        for call in (
            link.client.call(Read(1)),
            link.client.invoke("/head/ledger/read", {"number": 1}),
            link.client.upload(Sum(), [1]),
        ):
            with pytest.raises(Disconnected):
                await call
        with pytest.raises(Disconnected):
            async with link.client.stream(Follow(3)):
                pass
        assert link.road.attempts == 1


# What comes later.


async def test_later_calls_of_every_shape_wait_for_the_link_and_succeed(autojump_clock):
    async with linked() as link:
        client, outcomes = link.client, {}

        async def stream():
            async with client.stream(Lines(3)) as lines:
                return [line.number async for line in lines]

        async def untyped_stream():
            async with client.invoke_stream("/head/ledger/lines", {"to": 2}) as lines:
                return [line["number"] async for line in lines]

        async def duplex():
            async with client.duplex(Double()) as line:
                await line.send(4)
                return await anext(line)

        async def keep(name, call, *arguments):
            outcomes[name] = await outcome_of(call, *arguments)

        await link.block()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep, "call", client.call, Pay(7))
            nursery.start_soon(keep, "invoke", client.invoke, "/head/ledger/read", {"number": 1})
            nursery.start_soon(keep, "stream", stream)
            nursery.start_soon(keep, "untyped stream", untyped_stream)
            nursery.start_soon(keep, "upload", client.upload, Sum(), [1, 2, 3])
            nursery.start_soon(keep, "duplex", duplex)
            await trio.sleep(5)
            assert outcomes == {}
            link.road.unblock()

        assert outcomes == {
            "call": 7,
            "invoke": 1,
            "stream": [0, 1, 2],
            "untyped stream": [0, 1],
            "upload": 6,
            "duplex": 8,
        }


async def test_a_call_may_be_given_up_while_it_waits_for_the_link(autojump_clock):
    async with linked() as link:
        await link.block()
        with trio.move_on_after(3) as scope:
            await link.client.call(Pay(1))
        assert scope.cancelled_caught
        link.road.unblock()
        assert await link.client.call(Read(2)) == 2
        assert link.ledger.done == {2: 1}


@pytest.mark.parametrize(
    ("ask", "seconds"),
    [
        (lambda client: client.call(Read(1), timeout=4), 4),
        (lambda client: client.call(Read(1)), 30),
        (lambda client: client.invoke("/head/ledger/read", {"number": 1}, timeout=4), 4),
        (lambda client: client.upload(Sum(), [1], timeout=4), 4),
        (lambda client: client.upload(Sum(), [1]), 30),
    ],
    ids=["call", "call by default", "invoke", "upload", "upload by default"],
)
async def test_a_node_that_is_gone_for_good_costs_a_call_its_own_timeout(
    ask, seconds, autojump_clock
):
    async with linked() as link:
        await link.block()
        began = trio.current_time()
        with pytest.raises(DeadlineExceeded):
            await ask(link.client)
        assert trio.current_time() - began == pytest.approx(seconds, abs=0.1)


async def test_the_wait_for_a_link_counts_towards_the_timeout(autojump_clock):
    async with linked() as link, trio.open_nursery() as nursery:
        await link.block()
        began = trio.current_time()

        async def unblock():
            await trio.sleep(10)
            link.road.unblock()

        nursery.start_soon(unblock)
        with pytest.raises(DeadlineExceeded):
            await link.client.call(Hold(), timeout=25)
        assert link.ledger.begun == 1
        assert trio.current_time() - began == pytest.approx(25, abs=0.1)


async def test_a_call_that_waits_for_room_goes_over_the_next_link(autojump_clock):
    """It was never sent, so that it is lost with no link."""
    outcomes = []
    async with linked(
        faults=lambda number: Faults(sending=Fault(pause=0 if number else 5))
    ) as link:

        async def read(number):
            outcomes.append(await outcome_of(link.client.call, Read(number)))

        async with trio.open_nursery() as nursery:
            for _ in range(2):
                big = {"number": "x" * 2**20}
                nursery.start_soon(outcome_of, link.client.invoke, "/head/ledger/read", big)
                await wait_all_tasks_blocked()
            nursery.start_soon(read, 5)
            await link.cut()
            assert outcomes == []
        assert outcomes == [5]


async def test_what_a_client_offers_can_be_called_over_the_next_link(autojump_clock):
    ledger = Ledger()
    async with node() as here:
        road = FaultyRoad(road_to(here))
        async with connected(
            here, name="worker", services=[ledger], dial=road.dial, reconnect=True
        ):
            assert await here.client.call(Pay(1), node="worker") == 1
            road.cut()
            await trio.sleep(1)
            assert await here.client.call(Pay(2), node="worker") == 2
    assert ledger.done == {1: 1, 2: 1}


class Replaced:
    """A node whose place another takes, at the same address."""

    def __init__(self, nursery):
        self._nursery = nursery
        self._gone = trio.Event()
        self.node = None

    async def start(self, ledger):
        """Stop the node there is, and start one with this *ledger*."""
        self._gone.set()
        self._gone = trio.Event()
        await wait_all_tasks_blocked()
        self.node = await self._nursery.start(self._run, ledger, self._gone)

    async def _run(self, ledger, gone, *, task_status):
        settings = Settings(node=NodeSettings(drain=0.5))
        async with node([ledger], settings=settings) as here:
            await introduce(here, "tester")
            task_status.started(here)
            await gone.wait()

    async def dial(self, nursery, url, *, limits, format="json"):
        return await road_to(self.node)(nursery, url, limits=limits, format=format)


@asynccontextmanager
async def replaced(ledger):
    async with trio.open_nursery() as nursery:
        place = Replaced(nursery)
        await place.start(ledger)
        async with connected(place.node, dial=place.dial, reconnect=True) as client:
            yield place, client
        nursery.cancel_scope.cancel()


async def test_a_client_finds_the_node_that_took_the_place_of_its_own(autojump_clock):
    ledgers = [Ledger(), Ledger()]
    async with replaced(ledgers[0]) as (place, client):
        assert await client.call(Pay(1)) == 1
        await place.start(ledgers[1])
        assert await client.call(Pay(2)) == 2
    assert [ledger.done for ledger in ledgers] == [{1: 1}, {2: 1}]


# Under load.


@pytest.mark.parametrize("framed", [False, True], ids=["messages", "frames"])
@pytest.mark.parametrize("seed", range(4))
async def test_links_cut_under_load_lose_answers_and_repeat_nothing(framed, seed, autojump_clock):
    rng = random.Random(seed)
    random.seed(seed)

    def faults(number):
        if number % 5 == 4:  # a handshake that does not get to its end
            return Faults(receiving=Fault(after_messages=number % 2))
        sending, receiving = rng.randrange(300, 60_000), rng.randrange(700, 60_000)
        return Faults(
            sending=Fault(after_bytes=sending, in_pieces=True),
            receiving=Fault(after_bytes=receiving, in_pieces=True),
            delay=0.01,
            jitter=0.05,
        )

    outcomes = {}
    async with no_orphans(), linked(faults=faults, framed=framed, seed=seed) as link:
        numbers = iter(range(1500))

        async def caller():
            for number in numbers:
                request = (Read, Put, Pay)[number % 3](number)
                outcomes[request] = await outcome_of(link.client.call, request)

        async with trio.open_nursery() as nursery:
            for _ in range(64):
                nursery.start_soon(caller)

        assert len(outcomes) == 1500
        lost = {ask: got for ask, got in outcomes.items() if got != ask.number}
        for ask, error in lost.items():
            assert type(error) is Disconnected, error
            assert error.retryable is not isinstance(ask, Pay)
        assert 0 < len(lost) < len(outcomes)
        assert link.road.opened > 5
        done = link.ledger.done
        assert max(done.values()) == 1, "a call was carried out twice"
        assert not [ask for ask in outcomes if ask not in lost and done[ask.number] != 1]
        session = link.client.session
        await wait_all_tasks_blocked()
        assert not session.pending


# Subscriptions.


@pytest.mark.parametrize("framed", [False, True], ids=["messages", "frames"])
@pytest.mark.parametrize("window", [1, 7, 64])
@pytest.mark.parametrize("seed", range(3))
async def test_a_subscription_with_a_cursor_goes_on_without_loss_or_repetition(
    framed, window, seed, autojump_clock
):
    rng = random.Random(seed)

    def faults(number):
        # The first mark lies behind the handshake, so that each link brings the stream forward.
        return Faults(
            receiving=Fault(after_bytes=rng.randrange(900, 3000), in_pieces=True),
            delay=0.001,
            jitter=0.01,
        )

    async with linked(faults=faults, framed=framed, seed=seed) as link:
        async with link.client.stream(Follow(500), window=window) as lines:
            read = [line.number async for line in lines]

        assert read == list(range(500))
        assert link.road.opened > 5
        await trio.sleep(1)
        assert link.ledger.active == 0


async def numbers(lines, count):
    """Return the numbers of the next *count* lines."""
    return [(await anext(lines)).number for _ in range(count)]


async def test_a_subscription_with_a_cursor_outlives_its_node(autojump_clock):
    """A node that stops in good order ends its streams itself, before it closes the link."""
    async with replaced(Ledger(written=10)) as (place, client):
        async with client.stream(Follow(100, ends=False)) as lines:
            read = await numbers(lines, 10)
            await place.start(Ledger(written=20))
            read += await numbers(lines, 10)
    assert read == list(range(20))


async def test_a_subscription_with_a_cursor_outlives_its_service(autojump_clock):
    async with linked() as link, link.client.stream(Follow(100, ends=False)) as lines:
        read = await numbers(lines, 10)
        with pytest.raises(Internal):
            await link.client.call(Crash())
        read += await numbers(lines, 90)
    assert read == list(range(100))


async def test_a_consumer_without_patience_may_come_back(autojump_clock):
    async with linked() as link, link.client.stream(Follow(10)) as lines:
        read = await numbers(lines, 5)
        link.road.block()
        with pytest.raises(trio.TooSlowError), trio.fail_after(5):
            while True:
                read += await numbers(lines, 1)
        link.road.unblock()
        read += [line.number async for line in lines]
    assert read == list(range(10))


async def test_a_subscription_that_may_not_go_on_says_why_and_stays_so(autojump_clock):
    async with node([Ledger()]) as here:
        road = FaultyRoad(road_to(here))
        async with connected(here, dial=road.dial, reconnect=True) as client:
            async with client.stream(Follow(10, ends=False)) as lines:
                assert await numbers(lines, 10) == list(range(10))
                await introduce(here, "tester", scopes=["nothing"])
                road.cut()
                for _ in range(2):
                    with pytest.raises(Forbidden, match="ledger:follow"):
                        await anext(lines)


async def test_a_subscription_without_a_cursor_ends_behind_what_had_come(autojump_clock):
    async with linked() as link:
        async with link.client.stream(Lines(5, ends=False)) as lines:
            await wait_all_tasks_blocked()
            link.road.cut()
            read = []
            with pytest.raises(Disconnected):
                async for line in lines:
                    read.append(line.number)
        assert read == [0, 1, 2, 3, 4]


async def test_without_reconnection_a_cursor_is_of_no_use(autojump_clock):
    async with linked(reconnect=False) as link:
        async with link.client.stream(Follow(5, ends=False)) as lines:
            await wait_all_tasks_blocked()
            link.road.cut()
            with pytest.raises(Disconnected):
                async for _ in lines:
                    pass


async def test_a_subscription_may_be_left_while_its_link_is_away(autojump_clock):
    async with no_orphans(), linked() as link:
        with trio.move_on_after(5) as scope:
            async with link.client.stream(Follow(3, ends=False)) as lines:
                async for line in lines:
                    if line.number == 2:
                        await link.block()
        assert scope.cancelled_caught
        link.road.unblock()
        assert await link.client.call(Read(1)) == 1
        assert link.ledger.active == 0


async def test_a_duplex_ends_with_its_link(autojump_clock):
    async with linked() as link:
        async with link.client.duplex(Double()) as line:
            await line.send(1)
            assert await anext(line) == 2
            link.road.cut()
            with pytest.raises(Disconnected):
                await anext(line)


# Dialling again.


def dials_at(dial, times):
    """Return *dial*, which notes in *times* when it is used."""

    async def noting(nursery, url, **options):
        times.append(trio.current_time())
        return await dial(nursery, url, **options)

    return noting


async def test_the_pauses_grow_and_are_bounded(autojump_clock):
    times = []
    async with node([Ledger()]) as here:
        road = FaultyRoad(road_to(here))
        async with connected(here, dial=dials_at(road.dial, times), reconnect=True):
            road.block()
            times.clear()
            began = trio.current_time()
            await trio.sleep(200)

    pauses = [later - sooner for sooner, later in zip([began, *times], times, strict=False)]
    for failures, pause in enumerate(pauses):
        most = min(FIRST_PAUSE * 2**failures, LONGEST_AWAY)
        assert most / 2 <= pause <= most + 0.01
    assert len(pauses) > 20
    assert max(pauses) > LONGEST_AWAY / 2


async def test_after_a_link_that_lasted_the_pauses_are_short_again(autojump_clock):
    times = []
    async with node([Ledger()]) as here:
        road = FaultyRoad(road_to(here))
        async with connected(here, dial=dials_at(road.dial, times), reconnect=True) as client:
            road.block()
            await trio.sleep(100)
            road.unblock()
            assert await client.call(Read(1)) == 1
            await trio.sleep(100)
            began = trio.current_time()
            times.clear()
            road.cut()
            await wait_all_tasks_blocked()
            assert await client.call(Read(2)) == 2
            assert times[0] - began <= FIRST_PAUSE + 0.01


async def test_a_node_that_takes_links_and_drops_them_is_not_hurried(autojump_clock):
    """A link that lasts no time is a failure to connect like any other."""
    async with node([Ledger()]) as here:
        road = FaultyRoad(
            road_to(here),
            lambda number: Faults(sending=Fault(after_messages=1 + (number == 0))),
        )
        async with connected(here, dial=road.dial, reconnect=True) as client:
            with pytest.raises(Disconnected):
                await client.call(Read(1))
            await trio.sleep(600)
            assert 600 / LONGEST_AWAY <= road.attempts <= 2 * 600 / LONGEST_AWAY + 12


async def test_a_node_that_refuses_us_for_a_while_is_asked_again(autojump_clock):
    async with node([Ledger()]) as here:
        road = FaultyRoad(road_to(here))
        async with connected(here, dial=road.dial, reconnect=True) as client:
            tables = here.settings.services
            known = tables["auth"]
            tables["auth"] = type(known)()
            await here.client.invoke("/head/auth/reload")
            road.cut()
            await trio.sleep(30)
            assert road.attempts > 3
            await introduce(here, "tester")
            assert await client.call(Read(1)) == 1


async def hang(nursery, url, **options):
    await trio.sleep_forever()


async def silent(nursery, url, **options):
    return memory_pair()[0]


@pytest.mark.parametrize("then", ["pause", hang, silent], ids=["pausing", "dialling", "greeting"])
async def test_leaving_the_block_while_dialling_again_ends_at_once(then, autojump_clock):
    async with node([Ledger()]) as here:
        road = FaultyRoad(road_to(here))
        chosen = road.dial

        async def dial(nursery, url, **options):
            return await chosen(nursery, url, **options)

        async with no_orphans():
            async with connected(here, dial=dial, reconnect=True):
                if then == "pause":
                    road.block()
                    await trio.sleep(100)
                else:
                    chosen = then
                    road.cut()
                    await trio.sleep(1)
                left = trio.current_time()
            assert trio.current_time() == left


async def test_the_first_link_is_not_tried_twice(autojump_clock):
    async with node([Ledger()]) as here:
        road = FaultyRoad(road_to(here))
        road.block()
        with pytest.raises(AlknetError):
            async with connected(here, dial=road.dial, reconnect=True):
                pass
        assert road.attempts == 1
