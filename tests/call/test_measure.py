"""Measure: what was asked, how it ended and how long it took, near and far, and nothing else."""

import math
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from alknet.call.measure import BOUNDS, OTHER, TIMED_EVERY, Measure, code_of
from alknet.errors import CallError, DeadlineExceeded, Disconnected, NotFound

from ..echo import Count, Echo, Fail, Hold, Keep, Say, Secret, Shout, Silence, Ticks, Whisper
from ..linked import linked, running
from ..people import ALICE, NOBODY_MUCH


def test_the_bounds_rise_by_a_quarter_from_a_microsecond_to_a_quarter_of_an_hour():
    assert BOUNDS[0] == 1e-6
    assert BOUNDS[-1] == 1000
    steps = [upper / lower for lower, upper in pairwise(BOUNDS)]
    assert min(steps) > 1.24
    assert max(steps) < 1.29


def test_before_anything_was_timed_there_is_no_quantile():
    assert Measure().quantile(0.5) is None


@given(
    times=st.lists(st.floats(1e-7, 999), min_size=1, max_size=200),
    fraction=st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_quantile_lies_between_the_bounds_of_the_true_one(times, fraction):
    measure = Measure()
    for seconds in times:
        measure.took(seconds)
    true = sorted(times)[math.ceil(fraction * len(times)) - 1]

    found = measure.quantile(fraction)

    assert max((bound for bound in BOUNDS if bound < true), default=0.0) <= found
    assert found <= min(bound for bound in BOUNDS if bound >= true)


@given(st.lists(st.floats(0, 2000), min_size=1))
def test_a_higher_quantile_is_never_below_a_lower_one(times):
    measure = Measure()
    for seconds in times:
        measure.took(seconds)

    found = [measure.quantile(fraction) for fraction in (0.0, 0.25, 0.5, 0.75, 0.99, 1.0)]

    assert found == sorted(found)


def test_what_takes_longer_than_the_last_bound_counts_as_that():
    measure = Measure()
    measure.took(86_400)

    assert measure.quantile(0.5) == 1000


def test_codes_that_are_made_up_do_not_fill_the_memory():
    measure = Measure()
    for number in range(1000):
        measure.failed(f"MADE_UP_{number}")

    assert len(measure.errors) < 40
    assert measure.errors[OTHER] > 900
    assert sum(measure.errors.values()) == 1000


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound(), "NOT_FOUND"),
        (CallError(code="ITS_OWN"), "ITS_OWN"),
        (ZeroDivisionError(), "INTERNAL"),
        (KeyboardInterrupt(), "ABORTED"),
    ],
)
def test_every_end_has_a_code(error, code):
    assert code_of(error) == code


# Calls.


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
async def dispatcher(echo):
    async with running(echo) as dispatcher:
        yield dispatcher


@pytest.fixture
async def link(dispatcher):
    async with linked(dispatcher) as link:
        yield link


@pytest.fixture(params=["here", "there"])
def client(request, dispatcher, link):
    return dispatcher.client(ALICE) if request.param == "here" else link.client


@pytest.fixture
def measure_of(dispatcher):
    return lambda request_type: dispatcher.registry.find_type(request_type).measure


def outcomes(measure):
    return (measure.calls, measure.answered, measure.errors, measure.in_flight)


@pytest.mark.parametrize("request_", [Say("hi"), Shout("hi")], ids=["mailbox", "concurrent"])
async def test_answers_are_counted(client, measure_of, request_):
    for _ in range(40):
        await client.call(request_)

    assert outcomes(measure_of(type(request_))) == (40, 40, {}, 0)


async def test_calls_from_here_and_from_links_are_told_apart(dispatcher, link, measure_of):
    for client in (dispatcher.client(ALICE), link.client, link.client):
        await client.call(Say("hi"))

    measure = measure_of(Say)
    assert (measure.local, measure.remote) == (1, 2)


async def test_errors_are_counted_by_their_code(client, measure_of):
    for badly in (False, True, True):
        with pytest.raises(CallError):
            await client.call(Fail(badly))

    assert outcomes(measure_of(Fail)) == (3, 0, {"NOT_FOUND": 1, "INTERNAL": 2}, 0)


@pytest.mark.parametrize("request_", [Keep(), Hold()], ids=["mailbox", "concurrent"])
async def test_a_call_is_in_flight_until_it_is_answered(client, echo, measure_of, request_):
    measure = measure_of(type(request_))
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(client.call, request_)
        await wait_all_tasks_blocked()
        assert outcomes(measure) == (3, 0, {}, 3)
        echo.let_go.set()

    assert outcomes(measure) == (3, 3, {}, 0)


@pytest.mark.parametrize("request_", [Keep(), Hold()], ids=["mailbox", "concurrent"])
async def test_a_call_that_is_given_up_counts_as_aborted(client, measure_of, request_):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, request_)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await wait_all_tasks_blocked()

    assert outcomes(measure_of(type(request_))) == (1, 0, {"ABORTED": 1}, 0)


async def test_a_call_given_up_before_its_checkpoint_is_not_in_flight_for_ever(
    dispatcher, measure_of
):
    with trio.CancelScope() as scope:
        scope.cancel()
        await dispatcher.client(ALICE).call(Shout("hi"))

    assert outcomes(measure_of(Shout)) == (1, 0, {"ABORTED": 1}, 0)


async def test_a_call_that_a_lost_link_took_along_counts_as_aborted(link, measure_of):
    async with trio.open_nursery() as nursery:

        async def ask():
            with pytest.raises(Disconnected):
                await link.client.call(Hold())

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        link.far.cancel("cut")

    assert outcomes(measure_of(Hold)) == (1, 0, {"ABORTED": 1}, 0)


@pytest.mark.parametrize("request_", [Keep(), Hold()], ids=["mailbox", "concurrent"])
async def test_a_call_over_a_link_that_takes_too_long_counts_as_a_timeout(
    link, measure_of, request_, autojump_clock
):
    with pytest.raises(DeadlineExceeded):
        await link.client.call(request_, timeout=3)
    await wait_all_tasks_blocked()

    assert outcomes(measure_of(type(request_))) == (1, 0, {"TIMEOUT": 1}, 0)


async def test_streams_count_when_they_end(client, measure_of):
    async with client.stream(Count(3)) as items:
        assert [item async for item in items] == [0, 1, 2]
    await wait_all_tasks_blocked()

    assert outcomes(measure_of(Count)) == (1, 1, {}, 0)


@pytest.mark.parametrize("request_", [Ticks(), Silence()], ids=["begun", "silent"])
async def test_a_stream_that_is_left_counts_as_aborted(client, measure_of, request_):
    measure = measure_of(type(request_))
    async with client.stream(request_):
        await wait_all_tasks_blocked()
        assert outcomes(measure) == (1, 0, {}, 1)
    await wait_all_tasks_blocked()

    assert outcomes(measure) == (1, 0, {"ABORTED": 1}, 0)


async def test_an_untyped_call_counts_like_a_typed_one(client, measure_of):
    await client.invoke("/head/echo/say", {"text": "hi"})

    assert outcomes(measure_of(Say)) == (1, 1, {}, 0)


@pytest.mark.parametrize(
    ("request_", "code"),
    [(Shout("hi"), "FORBIDDEN"), (Secret(), "NOT_FOUND"), (Whisper("hi"), "FORBIDDEN")],
)
async def test_what_is_refused_over_a_link_counts_too(dispatcher, measure_of, request_, code):
    async with linked(dispatcher, identity=NOBODY_MUCH, is_confidential=False) as link:
        link.near.link.is_confidential = True  # or the client itself would not send it
        with pytest.raises(CallError):
            await link.client.call(request_)

    assert outcomes(measure_of(type(request_))) == (1, 0, {code: 1}, 0)


async def test_an_input_that_cannot_be_read_counts_too(link, measure_of):
    with pytest.raises(CallError):
        await link.client.invoke("/head/echo/say", {"text": 7})

    assert outcomes(measure_of(Say)) == (1, 0, {"INVALID_INPUT": 1}, 0)


# Times.


async def test_every_call_from_a_link_is_timed_by_trios_clock(link, echo, measure_of, mock_clock):
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(link.client.call, Hold())
        await wait_all_tasks_blocked()
        mock_clock.jump(2)
        echo.let_go.set()

    measure = measure_of(Hold)
    assert sum(measure.counts) == 3
    assert measure.seconds == pytest.approx(6)
    assert 1.6 <= measure.quantile(0.5) <= 2


@pytest.mark.parametrize("request_", [Say("hi"), Shout("hi")], ids=["mailbox", "concurrent"])
async def test_one_call_in_sixteen_from_here_is_timed_and_stands_for_the_others(
    dispatcher, measure_of, request_
):
    client, measure = dispatcher.client(ALICE), measure_of(type(request_))
    timed = []
    for _ in range(3 * TIMED_EVERY + 1):
        await client.call(request_)
        timed.append(sum(measure.counts))

    assert timed == [1] * TIMED_EVERY + [17] * TIMED_EVERY + [33] * TIMED_EVERY + [49]


async def test_the_time_of_a_call_from_here_has_its_wait_in_the_mailbox(
    dispatcher, echo, measure_of, mock_clock
):
    client = dispatcher.client(ALICE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.call, Keep())
        await echo.has_begun()
        nursery.start_soon(client.call, Say("hi"))
        await wait_all_tasks_blocked()
        mock_clock.jump(4)
        echo.let_go.set()

    assert measure_of(Say).seconds == pytest.approx(4)
