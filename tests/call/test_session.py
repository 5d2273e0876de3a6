"""Session: one link, both ways; and a peer at the other end that need not be one of ours."""

import pytest
import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import Request, Service, handler, operation
from alknet._core.envelope import (
    CallAborted,
    CallCredit,
    CallRequested,
    CallResponded,
    LinkPong,
)
from alknet.call.payload import PayloadType
from alknet.call.pending import PendingCall, PendingStream
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.call.stream import Stream
from alknet.errors import (
    Aborted,
    Disconnected,
    Internal,
    InvalidInput,
    NotFound,
    RemoteProtocolError,
)
from alknet.transport.memory import memory_pair
from alknet.wire.limits import Limits

from ..echo import Echo, Hold, Say, Ticks
from ..linked import facing, linked, running


def a_call(type_=str):
    return PendingCall(PayloadType(type_), "a call")


# Asking.


async def test_ids_count_up_and_are_never_used_again():
    async with facing() as (session, peer):
        ids = [session.pending.ask("/a/b", b"{}", a_call()) for _ in range(5)]
        for expected in ids:
            event = await peer.hear()
            assert isinstance(event, CallRequested)
            assert event.id == expected

    assert len(set(ids)) == 5


async def test_both_sides_may_ask_with_ids_of_their_own():
    async with running(Echo()) as one, running(Echo()) as other:
        async with linked(one, near_dispatcher=other) as link:
            back = RemoteClient(link.far)
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(link.client.call, Say("there"))
                    nursery.start_soon(back.call, Say("back"))


async def test_each_outcome_goes_to_its_own_call():
    async with facing() as (session, peer):
        calls = {
            session.pending.ask("/a/b", b"{}", call): call for call in [a_call() for _ in range(4)]
        }
        first, second, third, fourth = calls
        peer.encoder.responded(third, b'"three"')
        peer.encoder.failed(first, "NOT_FOUND", "one is not there")
        peer.encoder.completed(fourth)
        peer.encoder.responded(second, b'"two"')
        await peer.send()

        assert await calls[second].wait() == "two"
        assert await calls[third].wait() == "three"
        with pytest.raises(NotFound, match="one is not there"):
            await calls[first].wait()
        with pytest.raises(Aborted, match="ended the call without an answer"):
            await calls[fourth].wait()
        assert not session.pending


async def test_replies_to_calls_never_made_go_nowhere():
    async with facing() as (session, peer):
        call = a_call()
        request_id = session.pending.ask("/a/b", b"{}", call)
        for unknown in ("99", "", "x", "~1~"):
            peer.encoder.responded(unknown, b"1")
            peer.encoder.completed(unknown)
            peer.encoder.credit(unknown, 5)
            peer.encoder.aborted(unknown)
            peer.encoder.item(unknown, b"1")
            peer.encoder.finished(unknown)
            if unknown:
                peer.encoder.failed(unknown, "NOT_FOUND", "nothing")
        peer.encoder.responded(request_id, b'"still here"')
        peer.encoder.responded(request_id, b'"twice"')
        await peer.send()

        assert await call.wait() == "still here"
        assert not session.is_closed


async def test_giving_up_tells_the_peer_once_and_what_comes_later_goes_nowhere():
    async with facing() as (session, peer):
        call = a_call()
        request_id = session.pending.ask("/a/b", b"{}", call)
        await peer.hear()
        session.pending.give_up(request_id)
        session.pending.give_up(request_id)
        session.pending.give_up("never asked")
        assert isinstance(await peer.hear(), CallAborted)
        peer.encoder.responded(request_id, b'"late"')
        peer.encoder.ping("after")
        await peer.send()

        assert isinstance(await peer.hear(), LinkPong)
        assert not call.is_over


async def test_more_items_than_were_granted_end_the_stream_and_not_the_link():
    async with facing() as (session, peer):
        client = RemoteClient(session)
        async with client.invoke_stream("/a/b", window=2) as items:
            request = await peer.hear()
            assert request.window == 2
            for number in range(3):
                peer.encoder.responded(request.id, str(number).encode())
            await peer.send()
            assert [await anext(items), await anext(items)] == [0, 1]
            with pytest.raises(RemoteProtocolError, match="more items than it was granted"):
                await anext(items)
        assert isinstance(await peer.hear(), CallAborted)
        assert not session.is_closed


async def test_an_item_of_the_wrong_type_ends_the_stream_and_tells_the_peer():
    async with facing() as (session, peer):
        async with Stream(_asking(session, int)) as items:
            request = await peer.hear()
            peer.encoder.responded(request.id, b"1")
            peer.encoder.responded(request.id, b'"two"')
            await peer.send()
            assert await anext(items) == 1
            with pytest.raises(RemoteProtocolError, match="not what its request type promises"):
                await anext(items)
        assert isinstance(await peer.hear(), CallAborted)
        assert not session.is_closed


def _asking(session, type_):
    async def start(stream):
        pending = PendingStream(stream, PayloadType(type_), "a stream")
        request_id = session.pending.ask("/a/b", b"{}", pending, window=8)
        pending.give_up = lambda: session.pending.give_up(request_id)
        return pending.stop

    return start


async def test_credit_goes_to_the_peer_as_items_are_read():
    async with facing() as (session, peer):
        async with RemoteClient(session).invoke_stream("/a/b", window=4) as items:
            request = await peer.hear()
            for number in range(4):
                peer.encoder.responded(request.id, str(number).encode())
            await peer.send()
            for _ in range(4):
                await anext(items)
            for _ in range(2):
                event = await peer.hear()
                assert isinstance(event, CallCredit)
                assert event.items == 2


async def test_an_error_of_any_shape_is_an_error():
    async with facing() as (session, peer):
        for raw, expected in [
            (b'{"code": "X", "message": "m", "details": {"a": 1}}', {"a": 1}),
            (b'{"code": "X", "message": "m", "details": [1]}', {"value": [1]}),
            (b'{"code": "X", "message": "m", "details": null}', None),
            (b'{"code": "X", "message": "m"}', None),
        ]:
            call = a_call()
            request_id = session.pending.ask("/a/b", b"{}", call)
            await peer.say(
                b'{"type": "call.error", "id": "%s", "payload": %s}' % (request_id.encode(), raw)
            )
            with pytest.raises(Exception, match="m") as caught:
                await call.wait()
            assert caught.value.details == expected


# Answering.


async def test_a_side_that_answers_no_calls_says_so():
    async with facing() as (_, peer):
        peer.encoder.requested("1", "/a/b", b"{}")
        await peer.send()
        event = await peer.hear()

        assert (event.id, event.code) == ("1", "NOT_FOUND")
        assert event.message == "this side of the link answers no calls"


async def test_a_ping_is_answered():
    async with facing() as (_, peer):
        peer.encoder.ping("7")
        await peer.send()
        event = await peer.hear()

        assert isinstance(event, LinkPong)
        assert event.id == "7"


async def test_an_unknown_event_is_passed_over():
    async with facing() as (session, peer):
        await peer.say(b'{"type": "call.invented-later", "id": "1", "payload": {"x": 1}}')
        peer.encoder.ping("7")
        await peer.send()

        assert isinstance(await peer.hear(), LinkPong)
        assert not session.is_closed


@operation("big/answer")
class Big(Request[str], frozen=True):
    """Return `size` letters."""

    size: int


@operation("big/error")
class BigError(Request[None], frozen=True):
    """Raise an error with a sentence of `size` letters."""

    size: int
    letter: str = "x"


class Bigs(Service, namespace="big"):
    @handler
    async def answer(self, request: Big) -> str:
        return "x" * request.size

    @handler
    async def error(self, request: BigError) -> None:
        raise NotFound(request.letter * request.size)


async def test_an_answer_too_large_for_a_frame_is_an_error_and_not_the_end():
    async with running(Bigs()) as dispatcher:
        async with linked(dispatcher, limits=Limits(frame_bytes=1000)) as link:
            with pytest.raises(Internal, match="the answer cannot be sent: an envelope of"):
                await link.client.call(Big(2000))
            assert await link.client.call(Big(5)) == "xxxxx"


@pytest.mark.parametrize(("size", "letter"), [(5000, "x"), (5000, "\U0001f511"), (500, '"')])
async def test_an_error_too_long_for_a_frame_is_cut_short(size, letter):
    async with running(Bigs()) as dispatcher:
        async with linked(dispatcher, limits=Limits(frame_bytes=1000)) as link:
            with trio.fail_after(1), pytest.raises(NotFound, match=f"^{letter}{{50}}"):
                await link.client.call(BigError(size, letter))
            assert await link.client.call(Big(5)) == "xxxxx"


async def test_an_error_with_no_text_in_it_still_comes_through():
    """Names of files that are no UTF-8 hold lone surrogates in Python."""

    @operation("odd/file")
    class File(Request[None], frozen=True):
        """Look for a file."""

    class Odd(Service, namespace="odd"):
        @handler
        async def file(self, _: File) -> None:
            raise NotFound("there is no file \udcff", details={"file": "\udcff"})

    async with running(Odd()) as dispatcher, linked(dispatcher) as link:
        with trio.fail_after(1), pytest.raises(NotFound, match="there is no file"):
            await link.client.call(File())


# Peers that break the rules.


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"nonsense", "malformed envelope at byte 0"),
        (b"", None),
        (b"[]", "expected a map"),
        (b"{}", "malformed envelope"),
        (b'{"type": "call.requested", "id": "1", "payload": {}}', "operationId: missing"),
        (b'{"type": "call.responded", "id": 1, "payload": {}}', "id: expected a string"),
        (b'{"type": "call.credit", "id": "1", "payload": {"items": -1}}', "must not be negative"),
        (b'{"type": "call.error", "id": "1", "payload": {"code": 1, "message": ""}}', "code"),
        (b'{"type": "call.responded", "id": "1", "payload": {"output": ' + b"[" * 99, "nested"),
        (b'{"type": "call.responded", "id": "1", "payload": {"output": "\xff"}}', "UTF-8"),
    ],
)
async def test_a_malformed_envelope_closes_the_link_and_says_why(raw, words):
    async with facing() as (session, peer):
        call = a_call()
        session.pending.ask("/a/b", b"{}", call)
        await peer.hear()
        with structlog.testing.capture_logs() as logs:
            await peer.say(raw)
            if words is None:  # the empty message is the end of the link
                with pytest.raises(Disconnected):
                    await call.wait()
                return
            event = await peer.hear()

        assert (event.id, event.code) == ("", "INVALID_INPUT")
        assert words in event.message
        with pytest.raises(Disconnected):
            await call.wait()
        with pytest.raises(EOFError):
            await peer.hear()
        await session.closed()
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
            "peer broke the protocol"
        ]


async def test_what_arrived_whole_before_the_fault_is_not_lost():
    async with facing(framed=True) as (session, peer):
        call = a_call()
        request_id = session.pending.ask("/a/b", b"{}", call)
        peer.encoder.responded(request_id, b'"whole"')
        await peer.say(b"".join(peer.encoder.take()) + b"\0\0\0\0")

        assert await call.wait() == "whole"
        await session.closed()


async def test_the_reason_is_not_written_into_the_middle_of_something_else():
    """The writer is in the middle of a message when the reader finds the fault."""
    async with running(Echo()) as dispatcher:
        async with facing(dispatcher, framed=True) as (_, peer):
            for number in range(200):
                peer.encoder.requested(str(number), "/echo/say", b'{"text": "%s"}' % (b"x" * 500))
            await peer.say(b"".join(peer.encoder.take()) + b"\0\0\0\0")
            heard = []
            with pytest.raises(EOFError):
                while True:
                    heard.append(await peer.hear())

    assert (heard[-1].id, heard[-1].code) == ("", "INVALID_INPUT")


async def test_a_peer_that_breaks_the_rules_and_is_gone_raises_nothing():
    """Whoever runs a session must not be taken down by what its peer does."""
    for _ in range(20):
        one, other = memory_pair()
        session = Session(one, identity=None)
        async with trio.open_nursery() as nursery:
            await nursery.start(session.run)
            await other.send([b"nonsense"])
            await other.aclose()
        assert session.is_closed


async def test_a_frame_above_the_limit_closes_the_link():
    async with facing(framed=True, limits=Limits(frame_bytes=1000)) as (session, peer):
        await peer.say((1001).to_bytes(4, "big"))
        event = await peer.hear()

        assert "a frame of 1001 bytes and the limit is 1000" in event.message
        await session.closed()


async def test_a_peer_may_close_with_a_reason_of_its_own():
    async with facing() as (session, peer):
        call = a_call()
        session.pending.ask("/a/b", b"{}", call)
        peer.encoder.failed("", "INVALID_INPUT", "I have had enough")
        await peer.send()

        with pytest.raises(Disconnected, match="the peer closes the link: I have had enough"):
            await call.wait()
        await session.closed()


async def test_a_request_id_that_is_in_use_is_refused_and_the_call_goes_on():
    echo = Echo()
    async with running(echo) as dispatcher, facing(dispatcher) as (_, peer):
        peer.encoder.requested("1", "/echo/hold", b"{}")
        await peer.send()
        await echo.has_begun()
        for request_id, operation in (("1", "/echo/say"), ("", "/echo/say"), ("1", "/w/echo/say")):
            peer.encoder.requested(request_id, operation, b'{"text": "x"}')
            await peer.send()
            event = await peer.hear()
            assert (event.id, event.code) == (request_id or "?", "INVALID_INPUT")
        echo.let_go.set()
        event = await peer.hear()

        assert (event.id, event.output) == ("1", b'"held"')
        peer.encoder.requested("1", "/echo/say", b'{"text": "free again"}')
        await peer.send()
        assert (await peer.hear()).output == b'"free again"'


async def test_calls_beyond_the_limit_are_refused_one_by_one_and_the_rest_go_on():
    echo = Echo()
    async with running(echo) as dispatcher:
        async with facing(dispatcher, limits=Limits(calls_in_flight=3)) as (session, peer):
            for number in range(10):
                peer.encoder.requested(str(number), "/echo/hold", b"{}")
            await peer.send()
            refused = [await peer.hear() for _ in range(7)]
            assert {event.code for event in refused} == {"RATE_LIMITED"}
            assert all(event.retryable for event in refused)
            assert len(session.inbound) == 3
            echo.let_go.set()
            assert {(await peer.hear()).id for _ in range(3)} == {"0", "1", "2"}
            peer.encoder.requested("again", "/echo/say", b'{"text": "x"}')
            await peer.send()
            assert isinstance(await peer.hear(), CallResponded)


async def test_a_peer_that_reads_no_answers_is_cut_and_its_calls_cancelled():
    echo = Echo()
    async with running(echo) as dispatcher:
        limits = Limits(unsent_bytes=20_000)
        async with facing(dispatcher, limits=limits) as (session, peer):
            with pytest.raises(Disconnected):
                for number in range(10_000):
                    peer.encoder.requested(f"h{number}", "/echo/hold", b"{}")
                    peer.encoder.requested(str(number), "/echo/shout", b'{"text": "%s"}' % _LONG)
                    await peer.send()
            await session.closed()
            await wait_all_tasks_blocked()

            assert echo.active == 0
            assert not session.inbound


_LONG = b"x" * 1000


async def test_pings_of_a_peer_that_reads_no_pongs_do_not_pile_up():
    async with facing(limits=Limits(unsent_bytes=20_000)) as (session, peer):
        with pytest.raises(Disconnected):
            for _ in range(10_000):
                peer.encoder.ping("x" * 1000)
                await peer.send()
        await session.closed()


async def test_after_a_cut_nothing_that_came_with_it_begins():
    """What is left of a batch is not answered when the link has just been given up."""
    echo = Echo()
    async with running(echo) as dispatcher:
        limits = Limits(unsent_bytes=500)
        async with facing(dispatcher, framed=True, limits=limits) as (session, peer):
            peer.encoder.requested("1", "/echo/shout", b'{"text": "%s"}' % (b"x" * 600))
            peer.encoder.requested("2", "/echo/hold", b"{}")
            await peer.say(b"".join(peer.encoder.take()))
            await session.closed()
            await wait_all_tasks_blocked()

            assert echo.begun == 0


# Ending.


@pytest.mark.parametrize("end", ["peer closes", "cut", "cancel", "outer cancel"])
async def test_however_a_session_ends_nothing_is_left_on_either_side(end):
    echo = Echo()
    async with running(echo) as dispatcher, trio.open_nursery() as nursery:
        one, other = memory_pair()
        near = Session(one, identity=None, is_dialled=True)
        far = Session(other, identity=None, dispatcher=dispatcher)
        await nursery.start(near.run)
        scope = await nursery.start(_within_a_scope, far)
        client, outcomes = RemoteClient(near), []

        async def hold():
            with pytest.raises(Disconnected):
                await client.call(Hold())
            outcomes.append("hold")

        async def ticks():
            with pytest.raises(Disconnected):
                async with client.stream(Ticks()) as items:
                    async for _ in items:
                        pass
            outcomes.append("ticks")

        nursery.start_soon(hold)
        nursery.start_soon(ticks)
        await echo.has_begun(2)
        if end == "peer closes":
            await near.link.aclose()
        elif end == "cut":
            await far.link.aclose()
        elif end == "cancel":
            far.cancel("of a whim")
        else:
            scope.cancel()
        await near.closed()
        await far.closed()
        await wait_all_tasks_blocked()

        assert sorted(outcomes) == ["hold", "ticks"]
        assert echo.active == 0
        for session in (near, far):
            assert session.is_closed
            assert not session.inbound
            assert not session.pending
            with pytest.raises(Disconnected):
                session.pending.ask("/a/b", b"{}", a_call())
            with pytest.raises(Disconnected):
                await session.outbox.room()
            with trio.fail_after(1):
                await session.flushed()


async def _within_a_scope(session, *, task_status):
    with trio.CancelScope() as scope:
        await session.run(task_status=_Started(task_status, scope))


class _Started:
    def __init__(self, status, value):
        self.status, self.value = status, value

    def started(self, _=None):
        self.status.started(self.value)


async def test_the_reason_for_a_cancel_reaches_whoever_waits_here():
    async with facing() as (session, _):
        call = a_call()
        session.pending.ask("/a/b", b"{}", call)
        session.cancel("the node is stopping")

        with pytest.raises(Disconnected, match="was closed: the node is stopping"):
            await call.wait()


async def test_flushed_returns_when_the_link_has_taken_everything():
    async with facing() as (session, peer):
        for _ in range(500):
            session.pending.ask("/a/b", b'{"text": "%s"}' % _LONG, a_call())
        done = trio.Event()

        async def flush():
            await session.flushed()
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flush)
            await wait_all_tasks_blocked()
            assert not done.is_set(), "the link takes 64 messages at most"
            for _ in range(500):
                await peer.hear()
            with trio.fail_after(1):
                await done.wait()


async def test_a_session_says_whom_it_is_with():
    async with facing() as (session, _):
        assert repr(session) == "<Session with alice at memory:b>"


async def test_invalid_input_is_what_a_bad_request_is_and_the_field_is_named():
    async with running(Echo()) as dispatcher, linked(dispatcher) as link:
        with pytest.raises(InvalidInput) as caught:
            await link.client.invoke("/echo/say", {"text": 7})

    assert caught.value.details == {"field": "text"}
