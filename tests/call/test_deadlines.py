"""Deadlines: one heap for all the calls of a link, and no call is forgotten or told twice."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from alknet.call.deadlines import Deadlines

from .. import orphans


class Call:
    def __init__(self):
        self.is_over = False
        self.expired_at = []

    def expire(self):
        self.is_over = True
        self.expired_at.append(trio.current_time())


@pytest.fixture
async def deadlines(nursery):
    deadlines = Deadlines()
    nursery.start_soon(deadlines.run)
    return deadlines


async def test_each_call_is_told_at_its_own_time_and_once(deadlines, autojump_clock):
    now, calls = trio.current_time(), {}
    for after in (5, 1, 3, 1, 4):
        call = Call()
        calls[call] = now + after
        deadlines.add(now + after, call)
    await trio.sleep(10)

    for call, deadline in calls.items():
        assert call.expired_at == [pytest.approx(deadline)]


async def test_a_call_that_was_answered_is_told_nothing(deadlines, autojump_clock):
    call = Call()
    deadlines.add(trio.current_time() + 1, call)
    call.is_over = True
    await trio.sleep(2)

    assert not call.expired_at


async def test_a_nearer_deadline_is_not_kept_waiting_by_a_farther_one(deadlines, autojump_clock):
    far, near = Call(), Call()
    deadlines.add(trio.current_time() + 100, far)
    await trio.sleep(1)
    deadlines.add(trio.current_time() + 1, near)
    await trio.sleep(2)

    assert near.expired_at
    assert not far.expired_at


async def test_a_deadline_that_has_passed_is_told_at_once(deadlines, autojump_clock):
    call = Call()
    deadlines.add(trio.current_time() - 5, call)
    await trio.sleep(0.001)

    assert call.expired_at


async def test_what_expires_may_be_added_again(deadlines, autojump_clock):
    class Upload(Call):
        def expire(self):
            super().expire()
            if len(self.expired_at) < 3:
                self.is_over = False
                deadlines.add(trio.current_time() + 1, self)

    call, began = Upload(), trio.current_time()
    deadlines.add(began + 1, call)
    await trio.sleep(10)

    assert call.expired_at == [pytest.approx(began + n) for n in (1, 2, 3)]


async def test_answered_calls_do_not_pile_up(deadlines, autojump_clock):
    for _ in range(20_000):
        call = Call()
        deadlines.add(trio.current_time() + 30, call)
        call.is_over = True

    assert len(deadlines._heap) < 600


@given(
    st.lists(
        st.tuples(st.floats(0, 10), st.floats(0.1, 10), st.booleans(), st.floats(0, 20)),
        max_size=40,
    )
)
def test_whatever_is_added_when_each_call_is_told_if_and_only_if_it_is_late(plan):
    """Each step is a pause, a timeout, and whether and when an answer comes."""

    async def main():
        deadlines = Deadlines()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deadlines.run)
            async with trio.open_nursery() as callers:
                for pause, timeout, is_answered, answer_after in plan:
                    callers.start_soon(ask, deadlines, pause, timeout, is_answered, answer_after)
            nursery.cancel_scope.cancel()

    async def ask(deadlines, pause, timeout, is_answered, answer_after):
        await trio.sleep(pause)
        call, deadline = Call(), trio.current_time() + timeout
        deadlines.add(deadline, call)
        if is_answered:
            await trio.sleep(answer_after)
            call.is_over = True
        await trio.sleep(max(0, deadline - trio.current_time()) + 1)
        if is_answered and answer_after < timeout - 1e-6:
            assert not call.expired_at
        elif not is_answered or answer_after > timeout + 1e-6:
            assert call.expired_at == [pytest.approx(deadline)]

    orphans.run(main, clock=MockClock(autojump_threshold=0))
