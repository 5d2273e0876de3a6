"""Relay: a call that a head passes on to a worker, and everything that can happen on the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import Context, Duplex, Request, Service, Upload, handler, operation
from alknet.call.payload import PayloadType
from alknet.call.pending import PendingCall
from alknet.errors import (
    DeadlineExceeded,
    Disconnected,
    Forbidden,
    InvalidInput,
    InvalidOperationType,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from alknet.identity import Identity
from alknet.wire.limits import Limits

from ..echo import Count, Echo, Fail, Hold, Keep, Note, Say, Shout, Silence, Ticks, WhoAmI
from ..linked import facing, linked, running, working
from ..people import ALICE, NOBODY_MUCH, ROOT


class Head:
    """A head with a caller at one side and a worker at the other."""

    def __init__(self, dispatcher, caller, worker, echo):
        self.dispatcher = dispatcher
        self.caller = caller
        self.worker = worker
        self.echo = echo

    @property
    def client(self):
        return self.caller.client

    def nothing_left(self):
        """Whether no part of any call is left on any link."""
        sessions = (self.caller.near, self.caller.far, self.worker.near, self.worker.far)
        return not any(session.inbound or session.pending for session in sessions)


@asynccontextmanager
async def heading(*services, identity=ALICE, formats=("json", "json"), limits=None, **options):
    echo = Echo()
    async with (
        running() as dispatcher,
        linked(
            dispatcher, identity=identity, format=formats[0], limits=limits or Limits()
        ) as caller,
        working(dispatcher, echo, *services, format=formats[1], **options) as worker,
    ):
        yield Head(dispatcher, caller, worker, echo)


@pytest.fixture(
    params=[("json", "json"), ("json", "msgpack"), ("msgpack", "json"), ("msgpack", "msgpack")],
    ids="-".join,
)
async def head(request):
    async with heading(formats=request.param) as head:
        yield head


async def test_a_call_goes_there_and_its_answer_comes_back(head):
    assert await head.client.call(Say("hi"), node="worker-1") == "hi"
    assert await head.client.invoke("/worker-1/echo/say", {"text": "hi"}) == "hi"
    assert head.nothing_left()


async def test_a_stream_comes_through_under_the_callers_own_credit(head):
    async with head.client.stream(Count(500), node="worker-1", window=5) as items:
        await wait_all_tasks_blocked()
        assert len(items._items) == 5
        assert [item async for item in items] == list(range(500))
    assert head.nothing_left()


async def test_an_error_comes_back_with_its_code_words_and_details(head):
    with pytest.raises(NotFound, match="there is no such thing") as caught:
        await head.client.call(Fail(), node="worker-1")

    assert caught.value.details == {"thing": 7}
    assert head.nothing_left()


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("/worker-1/echo/nope", NotFound, "there is no operation 'worker-1/echo/nope' here"),
        ("/worker-2/echo/say", NotFound, "no peer called 'worker-2' is connected"),
        ("/worker-1/echo/secret", NotFound, "there is no operation"),
        ("/worker-1/echo/say", InvalidInput, "missing required field `text`"),
    ],
)
async def test_a_call_that_cannot_be_passed_on_says_why(head, path, error, words):
    with pytest.raises(error, match=words):
        await head.client.invoke(path)
    assert head.nothing_left()


async def test_what_is_asked_as_something_else_than_it_is_is_refused(head):
    with trio.fail_after(1), pytest.raises(InvalidOperationType):
        await head.client.invoke("/worker-1/echo/ticks")
    async with head.client.invoke_stream("/worker-1/echo/say", {"text": "x"}) as items:
        with trio.fail_after(1), pytest.raises(InvalidOperationType):
            await anext(items)
    assert head.nothing_left()


# Uploads and duplexes.


@operation("shop/total")
class Total(Upload[int, int], frozen=True):
    """Return the sum of what is sent."""


@operation("shop/haggle")
class Haggle(Duplex[int, int], frozen=True):
    """Answer each offer with another."""


class Shop(Service, namespace="shop"):
    @handler
    async def total(self, _: Total, items: AsyncIterator[int]) -> int:
        return sum([item async for item in items])

    @handler
    async def haggle(self, _: Haggle, offers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for offer in offers:
            yield offer + 1


async def test_uploads_and_duplexes_come_through_too():
    async with heading(Shop()) as head:
        assert await head.client.upload(Total(), range(1000), node="worker-1") == sum(range(1000))
        async with head.client.duplex(Haggle(), node="worker-1") as talk:
            for offer in range(200):
                await talk.send(offer)
                assert await anext(talk) == offer + 1
        await wait_all_tasks_blocked()
        assert head.nothing_left()


# Leaving, from either side.


@pytest.mark.parametrize("request_", [Hold(), Keep()], ids=["concurrent", "exclusive"])
async def test_a_caller_who_leaves_cancels_the_handler_over_there(head, request_):
    async with trio.open_nursery() as nursery:

        async def ask():
            await head.client.call(request_, node="worker-1")

        nursery.start_soon(ask)
        await head.echo.has_begun()
        nursery.cancel_scope.cancel()
    await wait_all_tasks_blocked()

    assert head.echo.active == 0
    assert head.nothing_left()


async def test_a_consumer_who_leaves_stops_the_producer_over_there(head):
    async with head.client.stream(Ticks(), node="worker-1") as items:
        assert await anext(items) == 0
    await wait_all_tasks_blocked()

    assert head.echo.active == 0
    assert head.nothing_left()


async def test_a_timeout_of_the_caller_reaches_the_handler_over_there(head, autojump_clock):
    with pytest.raises(DeadlineExceeded):
        await head.client.call(Hold(), node="worker-1", timeout=2)
    await wait_all_tasks_blocked()

    assert head.echo.active == 0
    assert head.nothing_left()


async def test_the_deadline_travels_and_is_enforced_over_there(head, autojump_clock):
    """Even if the caller never says that it has left."""
    pending = PendingCall(PayloadType(str), "keep")
    head.caller.near.pending.ask(
        "/worker-1/echo/keep", b"{}", pending, input_format="json", deadline_ms=1
    )
    with pytest.raises(DeadlineExceeded):
        await pending.wait()
    assert head.nothing_left()


async def test_a_caller_whose_link_is_lost_cancels_what_it_asked_for_over_there(head):
    async with trio.open_nursery() as nursery:

        async def ask():
            with pytest.raises(Disconnected):
                await head.client.call(Hold(), node="worker-1")

        async def watch():
            with pytest.raises(Disconnected):
                async with head.client.stream(Silence(), node="worker-1") as items:
                    await anext(items)

        nursery.start_soon(ask)
        nursery.start_soon(watch)
        await head.echo.has_begun(2)
        await head.caller.near.link.aclose()
    await wait_all_tasks_blocked()

    assert head.echo.active == 0
    assert head.nothing_left()


async def test_calls_fail_at_once_when_the_worker_goes(head):
    errors = []

    async def ask(request):
        with pytest.raises(Unavailable, match="was closed") as caught:
            await head.client.call(request, node="worker-1")
        assert not caught.value.retryable, "whether it was carried out is not known"
        errors.append(caught.value)

    async def watch():
        with pytest.raises(Unavailable, match="was closed") as caught:
            async with head.client.stream(Ticks(), node="worker-1") as items:
                async for _ in items:
                    pass
        errors.append(caught.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, Keep())
        await head.echo.has_begun()
        nursery.start_soon(ask, Say("a query"))
        nursery.start_soon(watch)
        await head.echo.has_begun(2)
        await wait_all_tasks_blocked()
        with trio.fail_after(1):
            await head.worker.near.link.aclose()

    assert len(errors) == 3
    assert head.nothing_left()


async def test_late_items_of_a_stream_that_was_left_go_nowhere(head):
    for _ in range(20):
        async with head.client.stream(Count(1000), node="worker-1", window=3) as items:
            assert await anext(items) == 0
    await wait_all_tasks_blocked()

    assert head.echo.active == 0
    assert head.nothing_left()


# Who is asked on whose behalf.


async def test_the_worker_sees_who_asks_and_not_who_passed_it_on(head):
    assert await head.client.call(WhoAmI(), node="worker-1") == "alice"


async def test_the_worker_checks_the_callers_scopes():
    async with heading(identity=NOBODY_MUCH) as head:
        with pytest.raises(Forbidden, match="'nobody-much' may not call echo/shout"):
            await head.client.call(Shout("x"), node="worker-1")


async def test_a_caller_may_no_more_than_the_worker_grants_its_head():
    async with heading(identity=ROOT, grant=("echo:count",)) as head:
        with pytest.raises(Forbidden, match="'root' may not call echo/shout"):
            await head.client.call(Shout("x"), node="worker-1")
        async with head.client.stream(Count(2), node="worker-1") as items:
            assert [item async for item in items] == [0, 1]


async def test_a_call_of_nobody_in_particular_is_not_passed_on_with_the_heads_own_rights():
    async with heading(identity=None) as head:
        with pytest.raises(Unauthenticated):
            await head.client.call(Shout("x"), node="worker-1")


@pytest.mark.parametrize("identity", [NOBODY_MUCH, ALICE, None])
async def test_a_client_in_the_heads_own_process_speaks_for_itself_alone(identity):
    async with heading() as head:
        client = head.dispatcher.client(identity)
        if identity is ALICE:
            assert await client.call(WhoAmI(), node="worker-1") == "alice"
            assert await client.call(Shout("x"), node="worker-1") == "X"
        else:
            with pytest.raises((Forbidden, Unauthenticated)):
                await client.call(Shout("x"), node="worker-1")


async def test_the_head_itself_may_ask_for_itself():
    async with heading() as head:
        client = head.dispatcher.client(head.dispatcher.itself)

        assert await client.call(WhoAmI(), node="worker-1") == "head"
        assert await client.call(Shout("x"), node="worker-1") == "X"


@operation("gate/through")
class Through(Request[str], frozen=True):
    """Return what the worker says to this caller."""


class Gate(Service, namespace="gate"):
    @handler(uses=(Shout,))
    async def through(self, _: Through, context: Context) -> str:
        return await context.env.call(Shout("x"), node="worker-1")


@pytest.mark.parametrize(
    ("identity", "outcome"), [(ALICE, "X"), (NOBODY_MUCH, Forbidden), (None, Unauthenticated)]
)
async def test_a_handler_that_asks_a_worker_asks_for_its_caller(identity, outcome):
    async with (
        running(Gate()) as dispatcher,
        working(dispatcher, Echo()),
        linked(dispatcher, identity=identity) as link,
    ):
        if isinstance(outcome, str):
            assert await link.client.call(Through()) == outcome
        else:
            with pytest.raises(outcome):
                await link.client.call(Through())


async def test_a_peer_without_the_right_to_forward_speaks_for_nobody_else():
    forged = b'{"id": "root", "scopes": ["*"]}'
    async with running(Echo()) as dispatcher:
        for identity, expected in (
            (Identity("eve", frozenset({"echo:count"})), "eve"),
            (Identity("eve", frozenset({"identity:forward"})), "root"),
        ):
            async with linked(dispatcher, identity=identity) as link:
                who = PendingCall(PayloadType(str), "whoami")
                link.near.pending.ask("/echo/whoami", b"{}", who, forwarded_for=forged)
                assert await who.wait() == expected
                shout = PendingCall(PayloadType(str), "shout")
                link.near.pending.ask("/echo/shout", b'{"text": "x"}', shout, forwarded_for=forged)
                with pytest.raises(Forbidden):
                    await shout.wait()


async def test_what_carries_secrets_is_not_passed_on_from_where_others_can_listen():
    async with running() as dispatcher, working(dispatcher, Echo()):
        for is_private in (True, False):
            async with linked(dispatcher, is_confidential=is_private) as link:
                call = link.client.invoke("/worker-1/echo/whisper", {"text": "x"})
                if is_private:
                    assert await call == "x"
                else:
                    with pytest.raises(Forbidden, match="worker-1/echo/whisper carries secrets"):
                        await call
                    assert await link.client.call(Say("x"), node="worker-1") == "x"


async def test_nor_is_it_passed_on_to_where_others_can_listen():
    async with running() as dispatcher, linked(dispatcher) as link:
        async with working(dispatcher, Echo(), is_confidential=False) as worker:
            with pytest.raises(Forbidden, match="worker-1/echo/whisper carries secrets"):
                await link.client.invoke("/worker-1/echo/whisper", {"text": "x"})
            assert worker.far.outbox.unsent_bytes == len(worker.far.pending) == 0
            assert await link.client.call(Say("x"), node="worker-1") == "x"


# Limits.


async def test_relayed_calls_count_against_their_own_caller_and_nobody_else():
    async with heading(limits=Limits(calls_in_flight=3)) as head:
        async with linked(head.dispatcher) as other, trio.open_nursery() as nursery:
            for _ in range(3):

                async def ask():
                    await head.client.call(Hold(), node="worker-1")

                nursery.start_soon(ask)
            await head.echo.has_begun(3)
            with pytest.raises(RateLimited):
                await head.client.call(Hold(), node="worker-1")
            assert await other.client.call(Say("hi"), node="worker-1") == "hi"
            head.echo.let_go.set()


async def test_an_input_too_large_to_pass_on_is_refused_and_the_link_lives():
    """What fits into a frame without the caller's identity may not fit with it."""
    narrow = Limits(frame_bytes=2048)
    async with (
        running() as dispatcher,
        linked(dispatcher) as caller,
        working(dispatcher, Echo(), limits=narrow) as worker,
    ):
        head = Head(dispatcher, caller, worker, None)
        with trio.fail_after(1), pytest.raises(InvalidInput, match="2048"):
            await head.client.call(Note("x" * 3000), node="worker-1")
        assert await head.client.call(Say("still here"), node="worker-1") == "still here"
        assert head.nothing_left()


async def test_two_workers_with_the_same_operations_are_told_apart(head):
    other = Echo()
    async with working(head.dispatcher, other, name="worker-2"):
        await head.client.call(Note("one"), node="worker-1")
        await head.client.call(Note("two"), node="worker-2")

    assert (head.echo.notes, other.notes) == (["one"], ["two"])


@pytest.mark.parametrize("format", ["json", "msgpack"])
async def test_what_is_passed_on_is_byte_for_byte_what_came(format):
    """Nobody in between has read it: it need not even fit what the operation takes."""
    inputs = {
        "json": [b'{"text" :  "x"}', b"[1e2,  1.0]", b'{"a":1,"a":2}', b'"\\u0061"'],
        "msgpack": [b"\x81\xa1a\xcd\x00\x01", b"\xd9\x01a", b"\xdc\x00\x01\x01"],
    }
    async with running() as dispatcher, facing(dispatcher, format=format) as (_, caller):
        async with facing(dispatcher, format=format) as (session, worker):
            dispatcher.peers.add(session)
            dispatcher.peers.offer(session, {"w/take": "query"})
            for number, raw in enumerate(inputs[format]):
                caller.encoder.requested(str(number), "/alice/w/take", raw)
                await caller.send()
                request = await worker.hear()
                assert request.input == raw
                worker.encoder.responded(request.id, raw)
                await worker.send()
                assert (await caller.hear()).output == raw


async def test_load_that_may_go_anywhere_is_spread_evenly():
    async with running() as dispatcher, linked(dispatcher) as caller:
        first, second, third = (Echo() for _ in range(3))
        async with (
            working(dispatcher, first, name="worker-1"),
            working(dispatcher, second, name="worker-2"),
            working(dispatcher, third, name="worker-3"),
            trio.open_nursery() as nursery,
        ):
            for _ in range(30):
                nursery.start_soon(_hold_anywhere, caller.client)
            while sum(each.begun for each in (first, second, third)) < 30:
                await trio.lowlevel.checkpoint()
            assert [each.active for each in (first, second, third)] == [10, 10, 10]

            second.let_go.set()
            while second.active:
                await trio.lowlevel.checkpoint()
            await wait_all_tasks_blocked()
            for number in range(6):
                await caller.client.call(Note(str(number)), node="any")
            assert second.notes == [str(number) for number in range(6)], "it has the least to do"
            first.let_go.set()
            third.let_go.set()


async def _hold_anywhere(client):
    assert await client.call(Hold(), node="any") == "held"


@operation("gate/hold", kind="mutation")
class HoldThere(Request[str], frozen=True):
    """Return what the worker answers when it is told to let go."""


class Holder(Service, namespace="gate"):
    @handler(uses=(Hold, Ticks))
    async def hold(self, _: HoldThere, context: Context) -> str:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, context)
            return await context.env.call(Hold(), node="worker-1")

    async def _watch(self, context):
        async with context.env.stream(Ticks(), node="worker-1") as items:
            async for _ in items:
                pass


async def test_an_abort_cancels_all_that_the_handler_has_started_elsewhere():
    echo = Echo()
    async with (
        running(Holder()) as dispatcher,
        working(dispatcher, echo) as worker,
        linked(dispatcher, identity=ROOT) as caller,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.client.call, HoldThere())
            await echo.has_begun(2)
            nursery.cancel_scope.cancel()
        await wait_all_tasks_blocked()

        assert echo.active == 0
        assert not caller.far.inbound
        assert len(worker.far.pending) == 0
