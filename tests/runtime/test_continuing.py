"""Handlers and calls that go on without their callers: bounded, waited for, and logged."""

import math
from collections.abc import AsyncIterator

import pytest
import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import (
    Context,
    Operation,
    OperationSpec,
    Request,
    Service,
    Subscription,
    Upload,
    handler,
    operation,
)
from alknet.call.continuations import Continuations
from alknet.errors import CallError, DeadlineExceeded, Forbidden, Unavailable
from alknet.settings import NodeSettings, Settings
from alknet.testing import connected
from alknet.testing import node as run

from ..linked import linked, running, working
from ..people import ALICE, ROOT


@operation("bank/pay", kind="mutation")
class Pay(Request[str], frozen=True):
    """Pay, whoever waits for it, side by side with others."""

    fails: bool = False


@operation("bank/move", kind="mutation")
class Move(Request[str], frozen=True):
    """Pay, whoever waits for it, one at a time."""

    fails: bool = False


@operation("bank/ask")
class Ask(Request[str], frozen=True):
    """Say something at once."""


@operation("bank/slow", kind="mutation")
class Slow(Request[str], frozen=True):
    """Take the time, and be given up as anything else."""


@operation("bank/order", kind="mutation")
class Order(Request[str], frozen=True):
    """Have `Slow` of `node` done: for the order alone, or whatever becomes of it."""

    continues: bool
    node: str = "head"


class Bank(Service, namespace="bank"):
    mailbox_size = 4

    def __init__(self):
        self.begun = self.done = self.cancelled = 0
        self.go = trio.Event()

    async def _work(self, fails=False):
        self.begun += 1
        try:
            await self.go.wait()
        except trio.Cancelled:
            self.cancelled += 1
            raise
        self.done += 1
        if fails:
            raise CallError("no money", code="CONFLICT")
        return "paid"

    @handler(concurrent=True, on_abort="continue-running")
    async def pay(self, request: Pay, context: Context) -> str:
        assert context.abort_policy == "continue-running"
        return await self._work(request.fails)

    @handler(on_abort="continue-running")
    async def move(self, request: Move) -> str:
        return await self._work(request.fails)

    @handler
    async def ask(self, _: Ask) -> str:
        return "answer"

    @handler(concurrent=True)
    async def slow(self, _: Slow, context: Context) -> str:
        assert context.abort_policy == "abort-dependents"
        return await self._work()

    @handler(concurrent=True, uses=(Slow,))
    async def order(self, request: Order, context: Context) -> str:
        client = context.continuing if request.continues else context.env
        return await client.call(Slow(), node=request.node)

    async def has_begun(self, times=1):
        while self.begun < times:
            await trio.lowlevel.checkpoint()


@pytest.fixture
def bank():
    return Bank()


@pytest.fixture
async def dispatcher(bank):
    async with running(bank) as dispatcher:
        yield dispatcher


@pytest.fixture(params=["near", "far"])
async def client(request, dispatcher):
    async with linked(dispatcher) as link:
        yield dispatcher.client(ALICE) if request.param == "near" else link.client


async def leave(bank, call, *arguments, **options):
    """Make the call, and leave as soon as its handler has begun."""
    before = bank.begun
    async with trio.open_nursery() as nursery:

        async def ask():
            await call(*arguments, **options)

        nursery.start_soon(ask)
        await bank.has_begun(before + 1)
        nursery.cancel_scope.cancel()
    await wait_all_tasks_blocked()


def told(lines):
    return [
        (line["operation"], line["outcome"])
        for line in lines
        if line["event"] == "went on without its caller"
    ]


@pytest.mark.parametrize("request_type", [Pay, Move])
@pytest.mark.parametrize(("fails", "outcome"), [(False, "OK"), (True, "CONFLICT")])
async def test_a_handler_goes_on_when_its_caller_leaves(bank, client, request_type, fails, outcome):
    with structlog.testing.capture_logs() as lines:
        await leave(bank, client.call, request_type(fails))
        assert (bank.done, bank.cancelled) == (0, 0)
        bank.go.set()
        await wait_all_tasks_blocked()

    assert (bank.done, bank.cancelled) == (1, 0)
    assert told(lines) == [(request_type.__operation__.name, outcome)]
    assert await client.call(Ask()) == "answer", "the service serves on"


@pytest.mark.parametrize("request_type", [Pay, Move])
async def test_it_goes_on_when_the_link_is_lost(bank, dispatcher, request_type):
    async with linked(dispatcher) as link, trio.open_nursery() as nursery:

        async def ask():
            with pytest.raises(CallError):
                await link.client.call(request_type())

        nursery.start_soon(ask)
        await bank.has_begun()
        link.near.cancel("the cable was cut")
        await wait_all_tasks_blocked()
        assert (bank.done, bank.cancelled) == (0, 0)
        bank.go.set()
        await wait_all_tasks_blocked()
    assert (bank.done, bank.cancelled) == (1, 0)


@pytest.mark.parametrize("request_type", [Pay, Move])
async def test_with_a_caller_who_waits_it_is_like_any_other(bank, client, request_type):
    bank.go.set()
    with structlog.testing.capture_logs() as lines:
        assert await client.call(request_type()) == "paid"
        with pytest.raises(CallError, match="no money"):
            await client.call(request_type(fails=True))
    assert told(lines) == []


async def test_one_that_is_given_up_before_its_turn_never_begins(bank, client):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, Move())
        await bank.has_begun()
        async with trio.open_nursery() as impatient:
            impatient.start_soon(client.call, Move())
            await wait_all_tasks_blocked()
            impatient.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        bank.go.set()
    await wait_all_tasks_blocked()
    assert bank.begun == 1


@pytest.mark.parametrize("request_type", [Pay, Move])
async def test_its_deadline_holds_without_its_caller_too(bank, autojump_clock, request_type):
    async with running(bank) as dispatcher, linked(dispatcher) as link:
        with structlog.testing.capture_logs() as lines:
            await leave(bank, link.client.call, request_type(), timeout=5)
            assert bank.cancelled == 0
            await trio.sleep(6)
    assert (bank.done, bank.cancelled) == (0, 1)
    assert [operation for operation, _ in told(lines)] == [request_type.__operation__.name]


@pytest.mark.parametrize("request_type", [Pay, Move])
async def test_so_does_that_of_a_caller_in_this_process(bank, autojump_clock, request_type):
    async with running(bank) as dispatcher:
        await leave(bank, dispatcher.client(ALICE).call, request_type(), timeout=5)
        assert bank.cancelled == 0
        await trio.sleep(6)
    assert (bank.done, bank.cancelled) == (0, 1)


async def test_how_many_go_on_at_once_is_bounded(bank, dispatcher):
    async with linked(dispatcher) as link:
        for _ in range(bank.mailbox_size):
            await leave(bank, link.client.call, Pay())
        with pytest.raises(Unavailable, match="is being carried out 4 times, which is the most"):
            await link.client.call(Pay())
        bank.go.set()
        await wait_all_tasks_blocked()
        assert await link.client.call(Pay()) == "paid"


async def test_a_node_that_stops_waits_for_them(bank):
    async with trio.open_nursery() as nursery:
        async with run([bank]) as node:
            async with connected(node) as client:
                await leave(bank, client.call, Pay())
                await leave(bank, client.call, Order(continues=True))

            async def let_go():
                await wait_all_tasks_blocked()
                assert bank.done == 0
                bank.go.set()

            nursery.start_soon(let_go)
        assert (bank.done, bank.cancelled) == (2, 0)


async def test_and_no_longer_than_its_drain(bank):
    settings = Settings(node=NodeSettings(drain=0.05))
    with structlog.testing.capture_logs() as lines:
        async with run([bank], settings=settings) as node, connected(node) as client:
            await leave(bank, client.call, Pay())
    assert (bank.done, bank.cancelled) == (0, 1)
    assert told(lines) == [("bank/pay", "ABORTED")]


# Calls of a handler.


@pytest.mark.parametrize("continues", [True, False])
@pytest.mark.parametrize("node", ["head", "worker-1"])
async def test_what_a_handler_has_begun_goes_on_if_it_asked_for_that(
    bank, dispatcher, continues, node
):
    other = Bank()
    at_work = bank if node == "head" else other
    async with linked(dispatcher, identity=ROOT) as link, working(dispatcher, other):
        with structlog.testing.capture_logs() as lines:
            await leave(at_work, link.client.call, Order(continues, node))
            at_work.go.set()
            await wait_all_tasks_blocked()

    assert (at_work.done, at_work.cancelled) == ((1, 0) if continues else (0, 1))
    assert told(lines) == ([("bank/slow", "OK")] if continues else [])


async def test_it_may_ask_no_more_than_any_call_of_the_handler(dispatcher):
    class Thief(Service, namespace="thief"):
        @handler(concurrent=True)
        async def take(self, _: Take, context: Context) -> str:
            return await context.continuing.call(Slow())

    async with running(Thief(), Bank()) as other:
        with pytest.raises(Forbidden, match="thief/take has not declared that it uses bank/slow"):
            await other.client(ROOT).call(Take())


@operation("thief/take")
class Take(Request[str], frozen=True):
    """Try to call what was not declared."""


async def test_the_deadline_of_the_call_it_was_for_is_its_own(bank, autojump_clock):
    async with running(bank) as dispatcher, linked(dispatcher) as link:
        with structlog.testing.capture_logs() as lines:
            await leave(bank, link.client.call, Order(continues=True), timeout=5)
            await trio.sleep(6)
    assert (bank.done, bank.cancelled) == (0, 1)
    assert told(lines) == [("bank/slow", "TIMEOUT")]


async def forever():
    await trio.sleep_forever()


class Parent:
    deadline = math.inf
    request_id = "1"


async def test_how_many_calls_may_outlive_their_callers_is_bounded():
    continuations = Continuations(most=2)
    async with trio.open_nursery() as nursery:
        await nursery.start(continuations.run)
        for _ in range(2):
            async with trio.open_nursery() as impatient:
                impatient.start_soon(continuations.call, forever, "a/b", Parent())
                await wait_all_tasks_blocked()
                impatient.cancel_scope.cancel()
        assert len(continuations) == 2
        with pytest.raises(Unavailable, match="the most that there may be"):
            await continuations.call(forever, "a/b", Parent())
        nursery.cancel_scope.cancel()
    assert len(continuations) == 0
    with pytest.raises(Unavailable, match="its node is not running"):
        await continuations.call(forever, "a/b", Parent())


async def test_who_waits_when_it_stops_is_told(autojump_clock):
    continuations = Continuations()
    async with trio.open_nursery() as nursery, trio.open_nursery() as askers:
        await nursery.start(continuations.run)

        async def ask():
            with pytest.raises(Unavailable, match="its node stops"):
                await continuations.call(forever, "a/b", Parent())

        askers.start_soon(ask)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_who_waits_until_its_deadline_is_told(autojump_clock):
    class Due(Parent):
        deadline = trio.current_time() + 3

    continuations = Continuations()
    async with trio.open_nursery() as nursery:
        await nursery.start(continuations.run)
        with pytest.raises(DeadlineExceeded, match="a/b was not done by its deadline"):
            await continuations.call(forever, "a/b", Due())
        nursery.cancel_scope.cancel()


@operation("bank/feed")
class Feed(Subscription[int], frozen=True):
    """A stream."""


@operation("bank/load")
class Load(Upload[int, int], frozen=True):
    """An upload."""


async def feed(self, request: Feed) -> AsyncIterator[int]:
    yield 1


async def load(self, request: Load, items: AsyncIterator[int]) -> int:
    return 1


@pytest.mark.parametrize("function", [feed, load])
def test_what_sends_or_takes_items_cannot_go_on_for_nobody(function):
    marked = handler(on_abort="continue-running")(function)
    with pytest.raises(TypeError, match="what it sends or takes ends with its caller"):
        type("B", (Service,), {"answer": marked}, namespace="bank")


def test_a_hand_made_one_goes_on_if_it_asks_for_it():
    async def pay(input):
        return "paid"

    spec = OperationSpec(name="bank/hand", kind="mutation")
    assert Operation(spec, pay, on_abort="continue-running").manner.continues
    assert not Operation(spec, pay).manner.continues
