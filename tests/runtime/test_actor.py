"""Actor: every call has exactly one outcome, whatever caller, handler and service do."""

import math
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import Request, Service, handler, operation
from alknet.call.payload import PayloadType
from alknet.call.pending import PendingCall
from alknet.errors import (
    CallError,
    DeadlineExceeded,
    Internal,
    NotFound,
    ServiceFailed,
    Unavailable,
)
from alknet.runtime.actor import Actor

from ..echo import Count, Echo, Fail, Hold, Keep, Note, Say, Shout, Ticks
from ..linked import FarInvocation, linked, running
from ..people import ALICE


def work_of(dispatcher, request_type):
    """Return what the service has to do that answers requests of this type."""
    return dispatcher.registry.find_type(request_type).endpoint.work


def asked(dispatcher, request, deadline=math.inf):
    """Return a call of *request* that counts its outcomes."""
    entry = dispatcher.registry.find_type(type(request))
    return FarInvocation(entry, request, deadline, dispatcher)


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
async def dispatcher(echo):
    async with running(echo) as dispatcher:
        yield dispatcher


@pytest.fixture
def here(dispatcher):
    """A client in the process."""
    return dispatcher.client(ALICE)


@pytest.fixture
async def there(dispatcher):
    """A client at the far end of a link."""
    async with linked(dispatcher) as link:
        yield link.client


@pytest.fixture(params=["here", "there"])
def client(request, here, there):
    return here if request.param == "here" else there


async def outcome_of(call):
    """Return the reply, or the error instead of raising it."""
    try:
        return await call
    except CallError as error:
        return error


# Order and exclusion.


async def test_exclusive_calls_are_served_one_at_a_time_in_the_order_they_came(client, echo):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, Keep())
        await echo.has_begun()
        for text in "abc":
            nursery.start_soon(client.call, Note(text))
            await wait_all_tasks_blocked()
        assert echo.notes == []
        echo.let_go.set()

    assert echo.notes == ["a", "b", "c"]


async def test_concurrent_calls_run_side_by_side_and_beside_an_exclusive_one(client, echo):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, Keep())
        for _ in range(3):
            nursery.start_soon(client.call, Hold())
        await echo.has_begun(4)
        assert await client.call(Shout("hi")) == "HI"
        echo.let_go.set()

    assert echo.most_active == 4


async def test_a_thousand_callers_at_once_are_all_answered(client):
    replies = {}

    async def ask(number):
        replies[number] = await client.call(Say(str(number)))

    async with trio.open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(ask, number)

    assert replies == {number: str(number) for number in range(1000)}


async def test_a_busy_actor_lets_other_tasks_have_their_turn(here):
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        async with trio.open_nursery() as callers:
            for _ in range(1000):
                callers.start_soon(here.call, Note("x"))
        nursery.cancel_scope.cancel()

    assert turns > 1000 / 64


# What handlers raise.


async def test_a_handlers_call_error_reaches_its_caller_with_its_details(client):
    with pytest.raises(NotFound, match="there is no such thing") as caught:
        await client.call(Fail())

    assert caught.value.details == {"thing": 7}


async def test_a_crash_is_internal_and_its_cause_stays_in_the_log(client):
    with structlog.testing.capture_logs() as logs, pytest.raises(Internal) as caught:
        await client.call(Fail(badly=True))

    (line,) = [line for line in logs if line["event"] == "handler failed"]
    assert "hunter2" not in str(caught.value)
    assert line["correlation"] in str(caught.value)
    assert line["operation"] == "echo/fail"
    assert line["caller"] == "alice"
    assert "ZeroDivisionError: the phrase is hunter2" in line["cause"]


async def test_a_crash_of_one_call_is_no_crash_of_the_service(client, dispatcher):
    for _ in range(3):
        await outcome_of(client.call(Fail(badly=True)))

    assert await client.call(Say("still here")) == "still here"
    assert work_of(dispatcher, Say).busy == 0


@operation("odd/unsendable")
class Unsendable(Request[Any], frozen=True):
    """Return something that no wire can carry."""


@operation("odd/side")
class Side(Request[Any], frozen=True):
    """The same, side by side with others."""


@operation("odd/details")
class Details(Request[None], frozen=True):
    """Raise an error whose details no wire can carry."""


class Odd(Service, namespace="odd"):
    @handler
    async def unsendable(self, _: Unsendable) -> Any:
        return object()

    @handler(concurrent=True)
    async def side(self, _: Side) -> Any:
        return object()

    @handler
    async def details(self, _: Details) -> None:
        raise NotFound("it is not there", details={"thing": object()})


@pytest.mark.parametrize("request_", [Unsendable(), Side()], ids=["exclusive", "concurrent"])
async def test_an_answer_that_cannot_be_written_is_internal_and_counted_once(request_):
    async with running(Odd()) as dispatcher, linked(dispatcher) as link:
        for _ in range(3):
            with pytest.raises(Internal):
                await link.client.call(request_)
        work = work_of(dispatcher, Unsendable)
        assert work.busy == 0

        with trio.fail_after(1):
            await work.drain()


async def test_details_that_cannot_be_written_do_not_cost_the_caller_the_error():
    async with running(Odd()) as dispatcher, linked(dispatcher) as link:
        for _ in range(2):
            with trio.fail_after(1), pytest.raises(NotFound, match="it is not there"):
                await link.client.call(Details())


# Callers who leave, and deadlines.


@pytest.mark.parametrize("request_", [Hold(), Keep()], ids=["concurrent", "exclusive"])
async def test_a_caller_who_leaves_cancels_the_handler(client, echo, request_, dispatcher):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, request_)
        await echo.has_begun()
        nursery.cancel_scope.cancel()
    with trio.fail_after(1):
        await echo.has_ended()

    assert await client.call(Say("next")) == "next"
    assert work_of(dispatcher, Say).busy == 0


async def test_a_call_given_up_while_it_waited_never_begins(client, echo):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, Keep())
        await echo.has_begun()
        async with trio.open_nursery() as leaving:
            leaving.start_soon(client.call, Note("never"))
            await wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        echo.let_go.set()
    await client.call(Note("after"))

    assert echo.notes == ["after"]


async def test_a_concurrent_call_given_up_before_its_task_ran_never_begins(dispatcher, echo):
    # Request and abort arrive in one piece, so the handler's task has had no turn between them.
    async with linked(dispatcher, framed=True) as link:
        pending = PendingCall(PayloadType(Any), "echo/hold")
        link.near.pending.give_up(link.near.pending.ask("/head/echo/hold", b"{}", pending))
        await wait_all_tasks_blocked()

        assert echo.begun == 0
        assert not link.far.inbound


@pytest.mark.parametrize("request_", [Hold(), Keep()], ids=["concurrent", "exclusive"])
async def test_a_handler_is_cancelled_at_the_callers_deadline(
    client, echo, request_, autojump_clock
):
    began = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await client.call(request_, timeout=3)
    assert trio.current_time() - began == pytest.approx(3, abs=0.01)

    with trio.fail_after(1):
        await echo.has_ended()


async def test_the_server_itself_cancels_at_the_deadline(dispatcher, echo, autojump_clock):
    """Even if the caller never says another word."""
    async with linked(dispatcher) as link:
        for request in (Hold(), Keep(), Ticks()):
            invocation = asked(dispatcher, request, trio.current_time() + 5)
            entry = dispatcher.registry.find_type(type(request))
            entry.endpoint.submit(invocation)
            await trio.sleep(4)
            assert not invocation.outcomes
            await trio.sleep(2)
            assert [type(error) for error in invocation.outcomes] == [DeadlineExceeded]
            assert echo.active == 0
        assert link


@pytest.mark.parametrize("request_", [Note("late"), Say("late")], ids=["plain", "async"])
async def test_a_call_whose_deadline_passed_while_it_waited_never_begins(
    dispatcher, echo, request_, autojump_clock
):
    keep = asked(dispatcher, Keep())
    late = asked(dispatcher, request_, trio.current_time() + 2)
    for invocation in (keep, late):
        invocation.entry.endpoint.submit(invocation)
    await trio.sleep(3)
    echo.let_go.set()
    await wait_all_tasks_blocked()

    assert keep.outcomes == ["kept"]
    assert [type(error) for error in late.outcomes] == [DeadlineExceeded]
    assert echo.notes == []


async def test_a_deadline_reached_by_one_call_leaves_the_next_alone(here, echo, autojump_clock):
    async with trio.open_nursery() as nursery:

        async def first():
            with pytest.raises(DeadlineExceeded):
                await here.call(Keep(), timeout=2)

        nursery.start_soon(first)
        await echo.has_begun()
        replies = []
        for text in "ab":

            async def ask(text=text):
                replies.append(await here.call(Say(text)))

            nursery.start_soon(ask)

    assert sorted(replies) == ["a", "b"]


# A service that ends.


@operation("mortal/die")
class Die(Request[None], frozen=True):
    """Say that the service cannot go on."""


@operation("mortal/wait")
class Wait(Request[None], frozen=True):
    """Wait for ever."""


class Mortal(Service, namespace="mortal"):
    """Says that it cannot go on when it is told to, by each kind of handler."""

    @handler
    async def die(self, _: Die) -> None:
        raise ServiceFailed("enough")

    @handler
    async def wait(self, _: Wait) -> None:
        await trio.sleep_forever()


@operation("swift/die")
class DieAtOnce(Request[None], frozen=True):
    """Say that the service cannot go on, in a handler that runs in the caller's task."""


@operation("swift/die-slowly")
class DieSlowly(Request[None], frozen=True):
    """The same, after a while."""


@operation("swift/wait")
class WaitHere(Request[None], frozen=True):
    """Wait for ever, one call at a time."""


class Swift(Service, namespace="swift"):
    @handler(concurrent=True)
    def die(self, _: DieAtOnce) -> None:
        raise ServiceFailed("enough")

    @handler(concurrent=True)
    async def die_slowly(self, _: DieSlowly) -> None:
        await trio.lowlevel.checkpoint()
        raise ServiceFailed("enough")

    @handler
    async def wait(self, _: WaitHere) -> None:
        await trio.sleep_forever()


@asynccontextmanager
async def one_life(actor):
    """Run *actor* once; its end is in the list that is yielded."""
    ends = []

    async def live(task_status):
        try:
            await actor.run(task_status=task_status)
        except BaseExceptionGroup as group:
            ends.append(group)

    async with trio.open_nursery() as nursery:
        await nursery.start(live)
        yield ends
        nursery.cancel_scope.cancel()


async def test_service_failed_ends_the_service_and_fails_what_waited():
    async with running(Mortal()) as dispatcher:
        work = work_of(dispatcher, Die)
        calls = [asked(dispatcher, request) for request in (Die(), Wait(), Wait())]
        for invocation in calls:
            invocation.entry.endpoint.submit(invocation)
        await wait_all_tasks_blocked()

        outcomes = [[type(outcome) for outcome in invocation.outcomes] for invocation in calls]
        assert outcomes == [[Internal], [Unavailable], [Unavailable]]
        assert work.busy == 0


@pytest.mark.parametrize("request_", [DieAtOnce(), DieSlowly()], ids=["plain", "async"])
@pytest.mark.parametrize("is_remote", [False, True])
async def test_service_failed_in_a_concurrent_handler_ends_the_service_too(request_, is_remote):
    async with running(Swift()) as dispatcher, linked(dispatcher) as link:
        client = link.client if is_remote else dispatcher.client(ALICE)
        waiting = []
        async with trio.open_nursery() as nursery:

            async def wait():
                waiting.append(await outcome_of(client.call(WaitHere())))

            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            outcome = await outcome_of(client.call(request_))
            with trio.move_on_after(1) as scope:
                while not waiting:
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    assert isinstance(outcome, Internal)
    assert not scope.cancelled_caught, "the service went on as if nothing had happened"
    assert isinstance(waiting[0], Unavailable)


async def test_a_service_that_closes_what_it_holds_refuses_calls_meanwhile():
    """Between its last request and the end of `running` there is no nursery to take a call."""
    closing, closed = trio.Event(), trio.Event()

    class Slow(Echo):
        @asynccontextmanager
        async def running(self):
            try:
                yield
            finally:
                with trio.CancelScope(shield=True):
                    closing.set()
                    await closed.wait()

    actor = Actor(Slow())
    async with running() as dispatcher:
        dispatcher.registry.add(actor.entries())
        client = dispatcher.client(ALICE)
        async with trio.open_nursery() as nursery, trio.open_nursery() as life:
            await life.start(actor.run)
            nursery.start_soon(_wait_then, closing, client, closed)
            life.cancel_scope.cancel()


async def _wait_then(closing, client, closed):
    await closing.wait()
    try:
        for request in (Say("x"), Hold(), Shout("x")):
            with trio.fail_after(1):
                assert isinstance(await outcome_of(client.call(request)), Unavailable)
        async with client.stream(Ticks()) as items:
            with pytest.raises(Unavailable):
                await anext(items)
    finally:
        closed.set()


async def test_what_runs_when_the_actor_is_cancelled_is_told_so(echo):
    actor = Actor(echo)
    outcomes = []
    async with running() as dispatcher:
        dispatcher.registry.add(actor.entries())
        async with trio.open_nursery() as nursery:
            async with linked(dispatcher) as link, trio.open_nursery() as callers:
                client = link.client
                async with one_life(actor):
                    for request in (Keep(), Hold(), Say("waits"), Note("waits")):

                        async def ask(request=request):
                            outcomes.append(await outcome_of(client.call(request)))

                        callers.start_soon(ask)
                        await wait_all_tasks_blocked()
                    callers.start_soon(_read_ticks, client, outcomes)
                    await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
    assert actor.work.busy == 0
    assert echo.notes == []


async def _read_ticks(client, outcomes):
    async with client.stream(Ticks()) as items:
        try:
            async for _ in items:
                pass
        except CallError as error:
            outcomes.append(error)


# Draining.


async def test_a_drain_lets_what_was_taken_finish_and_refuses_what_comes(client, dispatcher, echo):
    work = work_of(dispatcher, Say)
    outcomes = []
    async with trio.open_nursery() as nursery:

        async def ask(request):
            outcomes.append(await outcome_of(client.call(request)))

        for request in (Keep(), Hold(), Note("waiting")):
            nursery.start_soon(ask, request)
        await echo.has_begun(2)
        await wait_all_tasks_blocked()
        drained = False

        async def drain():
            nonlocal drained
            await work.drain()
            drained = True

        nursery.start_soon(drain)
        await wait_all_tasks_blocked()
        assert not drained
        assert isinstance(await outcome_of(client.call(Say("too late"))), Unavailable)
        echo.let_go.set()

    assert drained
    assert sorted(map(str, outcomes)) == ["None", "held", "kept"]
    assert echo.notes == ["waiting"]


async def test_a_drain_of_an_idle_actor_returns_at_once(dispatcher):
    with trio.fail_after(1):
        await work_of(dispatcher, Say).drain()


async def test_a_drain_ends_when_the_service_crashes_in_the_middle_of_it(autojump_clock):
    async with running(Mortal()) as dispatcher:
        for request in (Die(), Wait()):
            invocation = asked(dispatcher, request)
            invocation.entry.endpoint.submit(invocation)
        with trio.fail_after(1):
            await work_of(dispatcher, Die).drain()


async def test_streams_count_as_calls_for_a_drain(client, dispatcher, echo):
    work = work_of(dispatcher, Count)
    async with client.stream(Ticks()) as items:
        assert await anext(items) == 0
        assert work.busy == 1
    with trio.fail_after(1):
        await echo.has_ended()
        await work.drain()
    assert work.busy == 0
