"""PendingMap: however the two sides and the link behave, each call has exactly one outcome."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet._core.envelope import CallAborted, CallRequested
from alknet.call.pending_map import PendingMap
from alknet.errors import CallError, Disconnected, Unavailable
from alknet.wire.limits import Limits

from ..echo import Echo
from ..linked import facing, running

BOUND = 5
LIMITS = Limits(calls_in_flight=BOUND)


class Counted:
    """A pending call that counts what becomes of it."""

    def __init__(self, *, is_stream):
        self.is_stream = is_stream
        self.items = 0
        self.outcomes = []

    def responded(self, output, format):
        if self.is_stream:
            self.items += 1
            return False
        self.outcomes.append("answer")
        return True

    def completed(self):
        self.outcomes.append("end")

    def failed(self, error):
        assert isinstance(error, CallError)
        self.outcomes.append(error)

    def invited(self, items):
        pass


# What may happen next; the number says to which of the calls that were ever made.
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.booleans()),
    st.tuples(
        st.sampled_from(
            ["give up", "respond", "complete", "fail", "abort", "credit", "grant", "item", "finish"]
        ),
        st.integers(0, 12),
    ),
)


class Both:
    """A session, the raw peer that faces it, and what ought to be pending."""

    def __init__(self, session, peer):
        self.session = session
        self.peer = peer
        self.made = {}
        self.pending = set()
        self.given_up = set()

    async def step(self, act, which):
        pending = self.session.pending
        if act == "ask":
            call = Counted(is_stream=which)
            if len(self.pending) == BOUND:
                with pytest.raises(Unavailable, match="calls_in_flight"):
                    pending.ask("/a/b", b"{}", call)
                assert call.outcomes == []
                return
            request_id = pending.ask("/a/b", b"{}", call)
            assert request_id not in self.made, "no id is used twice"
            self.made[request_id] = call
            self.pending.add(request_id)
            return
        ids = [*self.made, "never asked", "~1", ""]
        request_id = ids[which % len(ids)]
        call = self.made.get(request_id)
        encoder = self.peer.encoder
        if act == "give up":
            pending.give_up(request_id)
            if request_id in self.pending:
                self.pending.discard(request_id)
                self.given_up.add(request_id)
            return
        if act == "respond":
            encoder.responded(request_id, b"1")
            if call is not None and not call.is_stream:
                self.pending.discard(request_id)
        elif act == "complete":
            encoder.completed(request_id)
            self.pending.discard(request_id)
        elif act == "fail":
            encoder.failed(request_id or "?", "NOT_FOUND", "no")
            self.pending.discard(request_id)
        elif act == "abort":
            encoder.aborted(request_id)
            self.pending.discard(request_id)
        elif act == "credit":
            encoder.credit(request_id, 1)
        elif act == "grant":
            pending.grant(request_id, 1)
        elif act == "item":
            pending.send_item(request_id, b"1", "json")
        else:
            pending.finish_items(request_id)
        encoder.ping("done")
        await self.peer.send()
        while type(await self.peer.hear()).__name__ != "LinkPong":
            pass

    def check(self):
        assert len(self.session.pending) == len(self.pending) <= BOUND
        for request_id, call in self.made.items():
            is_over = request_id not in self.pending | self.given_up
            assert len(call.outcomes) == int(is_over), "one outcome, and none before it is over"


@settings(max_examples=80)
@given(st.lists(STEPS, max_size=30), st.sampled_from(["cut", "close", "cancel"]))
def test_every_call_has_one_outcome_whatever_is_said_and_however_it_ends(steps, end):
    async def main():
        async with facing(limits=LIMITS) as (session, peer):
            both = Both(session, peer)
            for act, which in steps:
                await both.step(act, which)
                both.check()
            if end == "cut":
                peer.link.cut()
            elif end == "close":
                await peer.link.aclose()
            else:
                session.cancel("enough")
            await session.closed()

            assert len(session.pending) == 0
            for request_id in both.pending:
                (outcome,) = both.made[request_id].outcomes
                assert isinstance(outcome, Disconnected)
                both.given_up.discard(request_id)
            both.pending.clear()
            both.check()
            with pytest.raises(Disconnected):
                session.pending.ask("/a/b", b"{}", Counted(is_stream=False))

    trio.run(main)


INBOUND = st.lists(
    st.tuples(st.sampled_from(["ask", "ask a stream", "abort"]), st.integers(0, 8)), max_size=40
)


@settings(max_examples=80)
@given(INBOUND)
def test_what_the_peer_asks_is_bounded_and_an_id_means_one_call(steps):
    async def main():
        echo = Echo()
        async with (
            running(echo) as dispatcher,
            facing(dispatcher, limits=LIMITS) as (session, peer),
        ):
            open_ids, heard = set(), []
            for act, which in steps:
                request_id = str(which)
                expected = None
                if act == "abort":
                    peer.encoder.aborted(request_id)
                    open_ids.discard(request_id)
                else:
                    path = "/echo/hold" if act == "ask" else "/echo/silence"
                    peer.encoder.requested(request_id, path, b"{}")
                    if request_id in open_ids:
                        expected = (request_id, "INVALID_INPUT")
                    elif len(open_ids) == BOUND:
                        expected = (request_id, "RATE_LIMITED")
                    else:
                        open_ids.add(request_id)
                peer.encoder.ping("done")
                await peer.send()
                if expected is not None:
                    refused = await peer.hear()
                    assert (refused.id, refused.code) == expected
                heard.append(type(await peer.hear()).__name__)
                assert set(session.inbound) == open_ids
            assert set(heard) <= {"LinkPong"}, "nothing else was said"
            await peer.link.aclose()
            await session.closed()

            assert not session.inbound
            await trio.testing.wait_all_tasks_blocked()
            assert echo.active == 0

    trio.run(main)


async def test_giving_up_frees_a_place_at_once():
    async with facing(limits=LIMITS) as (session, peer):
        ids = [session.pending.ask("/a/b", b"{}", Counted(is_stream=False)) for _ in range(BOUND)]
        session.pending.give_up(ids[0])
        session.pending.ask("/a/b", b"{}", Counted(is_stream=False))
        heard = [await peer.hear() for _ in range(BOUND + 2)]

        assert [type(each) for each in heard].count(CallRequested) == BOUND + 1
        assert [each.id for each in heard if isinstance(each, CallAborted)] == [ids[0]]
        assert isinstance(session.pending, PendingMap)
