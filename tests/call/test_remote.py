"""RemoteClient: the same verbs as in the process, over a link."""

import time
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from alknet import Request, Service, handler, operation
from alknet.call.wire_time import local_deadline, wire_deadline
from alknet.errors import (
    DeadlineExceeded,
    Disconnected,
    InvalidInput,
    InvalidOperationType,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    Unavailable,
)
from alknet.wire.limits import Limits

from .. import orphans
from ..echo import Count, Echo, Fail, Hold, Keep, Say, Shout, Ticks
from ..linked import linked, running


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture(params=["json", "msgpack"])
async def link(request, echo):
    async with running(echo) as dispatcher, linked(dispatcher, format=request.param) as link:
        yield link


@pytest.fixture
def client(link):
    return link.client


# Asking.


async def test_a_call_returns_the_typed_reply(client):
    assert await client.call(Say("hi")) == "hi"


async def test_an_untyped_call_returns_plain_values(client):
    assert await client.invoke("/head/echo/shout", {"text": "hi"}) == "HI"


@pytest.mark.parametrize(
    "path", ["/head/echo/say", "/echo/say", "echo/say", "echo.say", "head/echo/say"]
)
async def test_every_way_to_write_a_path_leads_to_the_operation(client, path):
    assert await client.invoke(path, {"text": "hi"}) == "hi"


async def test_no_input_is_an_empty_one(client):
    assert await client.invoke("/head/echo/whoami") == "alice"


async def test_a_stream_yields_typed_items(client):
    async with client.stream(Count(100), window=7) as items:
        assert [item async for item in items] == list(range(100))


async def test_an_untyped_stream_yields_plain_values(client):
    async with client.invoke_stream("/head/echo/count", {"to": 3}) as items:
        assert [item async for item in items] == [0, 1, 2]


# What goes wrong.


async def test_an_error_arrives_with_its_code_words_and_details(client):
    with pytest.raises(NotFound) as caught:
        await client.call(Fail())

    assert str(caught.value) == "there is no such thing"
    assert caught.value.details == {"thing": 7}
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("path", "input_", "error", "words"),
    [
        ("/head/echo/nope", {}, NotFound, "no operation 'echo/nope' here"),
        ("/head/nope/nope", {}, NotFound, "no operation 'nope/nope' here"),
        ("/elsewhere/echo/say", {}, NotFound, "no peer called 'elsewhere' is connected"),
        ("/head/echo/secret", {}, NotFound, "no operation 'echo/secret' here"),
        ("say", {}, InvalidInput, "'say' names no operation"),
        ("", {}, InvalidInput, "'' names no operation"),
        ("/head//say", {}, InvalidInput, "names no operation"),
        ("/head/echo/say", {"text": 1}, InvalidInput, "`text`: expected `str`, got `int`"),
        ("/head/echo/say", {}, InvalidInput, "missing required field `text`"),
        ("/head/echo/say", {"text": "x", "loud": True}, InvalidInput, "unknown field `loud`"),
        ("/head/echo/say", ["x"], InvalidInput, "expected `object`, got `array`"),
    ],
)
async def test_a_bad_request_says_what_is_wrong_with_it(client, path, input_, error, words):
    with pytest.raises(error) as caught:
        await client.invoke(path, input_)

    assert words in str(caught.value)
    assert await client.call(Say("still here")) == "still here"


async def test_a_stream_of_what_is_no_stream_is_the_wrong_operation_type(client):
    async with client.invoke_stream("/head/echo/say", {"text": "x"}) as items:
        with trio.fail_after(1), pytest.raises(InvalidOperationType, match="call it instead"):
            async for _ in items:
                pass


async def test_a_call_of_what_is_a_stream_is_the_wrong_operation_type(client, echo):
    with trio.fail_after(1), pytest.raises(InvalidOperationType, match="stream it instead"):
        await client.invoke("/head/echo/ticks")
    await wait_all_tasks_blocked()

    assert echo.active == 0


@pytest.mark.parametrize("verb", ["call", "stream"])
async def test_a_typed_request_with_the_wrong_verb_never_leaves(client, echo, verb):
    with pytest.raises(InvalidOperationType):
        if verb == "call":
            await client.call(Ticks())
        else:
            async with client.stream(Say("x")):
                pass

    assert echo.begun == 0


async def test_an_oversize_request_is_refused_before_it_leaves(client):
    with pytest.raises(LocalProtocolError, match="frame_bytes"):
        await client.call(Say("x" * (17 * 1024 * 1024)))

    assert await client.call(Say("still here")) == "still here"


@operation("liar/number")
class Number(Request[int], frozen=True):
    """Return a number, it says."""


@operation("liar/text")
class Text(Request[str], frozen=True):
    """Return a text, it says."""


class Liar(Service, namespace="liar"):
    @handler
    async def number(self, _: Number) -> int:
        return "seven"

    @handler
    async def text(self, _: Text) -> str:
        return "text"


async def test_an_answer_of_another_type_than_promised_is_the_peers_fault():
    async with running(Liar()) as dispatcher, linked(dispatcher) as link:
        with pytest.raises(RemoteProtocolError, match="not what its request type promises"):
            await link.client.call(Number())
        assert await link.client.call(Text()) == "text"


# Time.


async def test_a_call_without_an_answer_times_out_and_tells_the_peer(client, echo, autojump_clock):
    with pytest.raises(DeadlineExceeded) as caught:
        await client.call(Hold(), timeout=2)

    assert str(caught.value) == "/head/echo/hold gave no answer within 2 s"
    assert caught.value.retryable
    await wait_all_tasks_blocked()
    assert echo.active == 0


async def test_a_call_that_brings_no_timeout_has_the_clients(client, autojump_clock):
    began = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await client.call(Hold())

    assert trio.current_time() - began == pytest.approx(30, abs=0.1)


async def test_the_callers_own_deadline_is_his_and_not_ours(client, echo, autojump_clock):
    with pytest.raises(trio.TooSlowError), trio.fail_after(2):
        await client.call(Hold())
    await wait_all_tasks_blocked()

    assert echo.active == 0


@pytest.mark.parametrize("ask", ["call", "invoke", "stream"])
async def test_a_caller_who_is_cancelled_already_asks_nothing(client, echo, ask):
    with trio.CancelScope() as scope:
        scope.cancel()
        if ask == "call":
            await client.call(Hold())
        elif ask == "invoke":
            await client.invoke("/head/echo/hold")
        else:
            async with client.stream(Ticks()) as items:
                await anext(items)
    await wait_all_tasks_blocked()

    assert scope.cancelled_caught
    assert echo.active == 0
    assert echo.begun == 0 or ask == "stream"  # which has no deadline that is over


@pytest.mark.parametrize("timeout", [1e9, 1e15, 1e300, float("inf")])
async def test_the_longest_timeouts_can_be_written(client, timeout):
    assert await client.call(Say("hi"), timeout=timeout) == "hi"


async def test_a_timeout_of_nothing_is_over_at_once(client):
    with pytest.raises(DeadlineExceeded):
        await client.call(Hold(), timeout=0)


@given(st.floats(-1e6, 1e6))
def test_a_deadline_means_the_same_moment_on_both_sides(seconds):
    async def main():
        deadline = trio.current_time() + seconds
        there = wire_deadline(deadline)

        assert there == pytest.approx((time.time() + seconds) * 1000, abs=50)
        assert local_deadline(there) == pytest.approx(deadline, abs=0.05)

    orphans.run(main)


# The link.


async def test_a_lost_link_fails_calls_in_flight_and_later_ones_with_disconnected(link, echo):
    outcomes = []

    async def ask(request):
        with pytest.raises(Disconnected) as caught:
            await link.client.call(request)
        outcomes.append(caught.value)

    async with trio.open_nursery() as nursery:
        for request in (Hold(), Keep(), Say("waiting")):
            nursery.start_soon(ask, request)
            await wait_all_tasks_blocked()
        await link.far.link.aclose()
    await ask(Say("later"))
    await wait_all_tasks_blocked()

    assert len(outcomes) == 4
    assert len(set(map(id, outcomes))) == 4, "one error raised in many tasks mixes their tracebacks"
    assert echo.active == 0, "the far side goes on with what nobody waits for"
    assert isinstance(outcomes[0], Unavailable)


async def test_whether_a_lost_call_may_be_repeated_is_for_its_operation_to_say(link, echo):
    errors = {}

    async def ask(request):
        with pytest.raises(Disconnected) as caught:
            await link.client.call(request)
        errors[type(request)] = caught.value.retryable

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, Keep())
        await echo.has_begun()
        nursery.start_soon(ask, Say("a query, which is idempotent"))
        await wait_all_tasks_blocked()
        await link.far.link.aclose()

    assert errors == {Keep: False, Say: True}


async def test_a_lost_link_ends_streams_behind_what_had_arrived(link):
    async with link.client.stream(Ticks()) as items:
        await wait_all_tasks_blocked()
        await link.far.link.aclose()
        await wait_all_tasks_blocked()

        assert await anext(items) == 0
        with pytest.raises(Disconnected):
            await anext(items)


async def test_a_dead_link_called_over_and_over_keeps_nothing(link):
    await link.far.link.aclose()
    await wait_all_tasks_blocked()
    depths = []
    for _ in range(50):
        try:
            await link.client.call(Say("x"))
        except Disconnected as error:
            depth, traceback = 0, error.__traceback__
            while traceback:
                depth, traceback = depth + 1, traceback.tb_next
            depths.append(depth)

    assert len(set(depths[1:])) == 1, "the traceback grows with every call"


async def test_more_calls_than_the_limit_are_refused_before_they_leave(echo):
    limits = Limits(calls_in_flight=2)
    async with running(echo) as dispatcher, linked(dispatcher, near_limits=limits) as link:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(link.client.call, Hold())
            await echo.has_begun(2)
            with pytest.raises(Unavailable, match="calls_in_flight"):
                await link.client.call(Shout("x"))
            echo.let_go.set()


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.sampled_from(["json", "msgpack"]),
)
def test_whatever_json_can_say_comes_back_as_it_went(value, format):
    async def main():
        async with running(Mirror()) as dispatcher, linked(dispatcher, format=format) as link:
            assert await link.client.invoke("/head/mirror/show", {"value": value}) == value
            assert await link.client.call(Show(value)) == value

    orphans.run(main)


@operation("mirror/show")
class Show(Request[Any], frozen=True):
    """Return `value`."""

    value: Any


class Mirror(Service, namespace="mirror"):
    @handler
    async def show(self, request: Show) -> Any:
        return request.value
