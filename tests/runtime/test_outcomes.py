"""Whatever callers, handlers and services do, every call has one outcome and nothing is left."""

from collections.abc import AsyncIterator

import pytest
import structlog
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from alknet import Request, Service, Subscription, handler, operation
from alknet.call.dispatch import Dispatcher
from alknet.call.registry import Registry
from alknet.errors import CallError, ServiceFailed
from alknet.runtime.actor import Actor
from alknet.runtime.supervisor import Supervisor

from .. import orphans
from ..linked import linked
from ..people import ALICE


@operation("chaos/exclusive")
class Exclusive(Request[int], frozen=True):
    """Take some time, one at a time, and end in some way."""

    number: int
    takes: float
    ends: str


@operation("chaos/concurrent")
class Concurrent(Request[int], frozen=True):
    """The same, side by side."""

    number: int
    takes: float
    ends: str


@operation("chaos/plain")
class Plain(Request[int], frozen=True):
    """The same, without waiting."""

    number: int
    takes: float
    ends: str


@operation("chaos/stream")
class Streamed(Subscription[int], frozen=True):
    """Yield up to the number, with pauses, and end in some way."""

    number: int
    takes: float
    ends: str


class Chaos(Service, namespace="chaos"):
    """Counts what runs in it; exclusive handlers must never run together."""

    def __init__(self):
        self.running_now = 0
        self.exclusive_now = 0

    def _end(self, request):
        if request.ends == "error":
            raise CallError("as asked", code="ASKED")
        if request.ends == "crash":
            raise ZeroDivisionError
        if request.ends == "fail":
            raise ServiceFailed("as asked")
        return request.number

    async def _take(self, request):
        self.running_now += 1
        try:
            if request.takes:
                await trio.sleep(request.takes)
            return self._end(request)
        finally:
            self.running_now -= 1

    @handler
    async def exclusive(self, request: Exclusive) -> int:
        assert self.exclusive_now == 0
        self.exclusive_now += 1
        try:
            return await self._take(request)
        finally:
            self.exclusive_now -= 1

    @handler(concurrent=True)
    async def concurrent(self, request: Concurrent) -> int:
        return await self._take(request)

    @handler(concurrent=True)
    def plain(self, request: Plain) -> int:
        return self._end(request)

    @handler
    async def stream(self, request: Streamed) -> AsyncIterator[int]:
        self.running_now += 1
        try:
            for number in range(request.number):
                await trio.sleep(request.takes)
                yield number
            self._end(request)
        finally:
            self.running_now -= 1


CALLS = st.lists(
    st.tuples(
        st.sampled_from([Exclusive, Concurrent, Plain, Streamed]),
        st.sampled_from([0.0, 0.0, 0.5, 2.0]),  # how long it takes
        st.sampled_from(["well", "well", "well", "error", "crash", "fail"]),
        st.sampled_from([0.0, 0.0, 0.3, 1.0]),  # when it is asked
        st.none() | st.sampled_from([0.0, 0.2, 1.0, 3.0]),  # when its caller leaves
        st.none() | st.sampled_from([0.4, 1.5]),  # its timeout
    ),
    max_size=25,
)


@pytest.mark.parametrize("is_remote", [False, True])
@given(calls=CALLS)
@settings(max_examples=60, deadline=None)
def test_every_call_has_exactly_one_outcome_and_nothing_is_left(is_remote, calls):
    async def main():
        chaos = Chaos()
        actor = Actor(chaos)
        supervisor = Supervisor([actor], intensity=1000)
        dispatcher = Dispatcher(Registry())
        dispatcher.registry.add(actor.entries())
        outcomes = {}
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            async with linked(dispatcher, identity=ALICE) as link:
                client = link.client if is_remote else dispatcher.client(ALICE)
                async with trio.open_nursery() as callers:
                    for index, plan in enumerate(calls):
                        callers.start_soon(ask, client, index, plan, outcomes)
                await wait_all_tasks_blocked()
                await trio.sleep(5)

                assert sorted(outcomes) == list(range(len(calls)))
                assert chaos.running_now == 0
                assert actor.work.busy == 0
                assert len(actor.work.mailbox) == 0
                for session in (link.near, link.far):
                    assert not session.inbound
                    assert not session.pending
                with trio.fail_after(1):
                    await actor.work.drain()
            nursery.cancel_scope.cancel()

    with structlog.testing.capture_logs():
        orphans.run(main, clock=MockClock(autojump_threshold=0))


async def ask(client, index, plan, outcomes):
    kind, takes, ends, asked_at, leaves_at, timeout = plan
    request = kind(index if kind is not Streamed else 3, takes, ends)
    await trio.sleep(asked_at)
    outcome = None
    with trio.move_on_after(1000 if leaves_at is None else leaves_at) as scope:
        try:
            if kind is Streamed:
                async with client.stream(request, window=2) as items:
                    outcome = [item async for item in items]
                assert outcome == [0, 1, 2]
            else:
                outcome = await client.call(request, timeout=timeout)
                assert outcome == index
            assert ends == "well"
        except CallError as error:
            outcome = error
    assert (outcome is None) == scope.cancelled_caught
    assert index not in outcomes
    outcomes[index] = outcome
