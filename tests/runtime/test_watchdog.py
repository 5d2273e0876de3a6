"""Watchdog: a handler that keeps its service from others is named once, and costs calls nothing."""

from functools import partial

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from alknet.call.dispatch import Dispatcher
from alknet.call.registry import Registry
from alknet.runtime.actor import Actor
from alknet.runtime.supervisor import Supervisor

from ..echo import Echo, Hold, Keep, Say
from ..linked import linked
from ..people import ALICE

SLOW = 4.0


class Watched:
    """A supervised Echo with a watchdog, a client of it, and what is logged meanwhile."""

    def __init__(self, echo, supervisor, client, link, lines):
        self.echo = echo
        self.supervisor = supervisor
        self.client = client
        self.there = link.client
        self._lines = lines

    @property
    def reports(self):
        return [line for line in self._lines if line["event"].startswith("a handler keeps")]

    @property
    def busy(self):
        return self.supervisor.stats()[0].busy


@pytest.fixture
async def watched():
    echo = Echo()
    supervisor = Supervisor([Actor(echo)], slow=SLOW)
    dispatcher = Dispatcher(Registry())
    dispatcher.registry.add(supervisor.actors[0].entries())
    with capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            async with linked(dispatcher) as link:
                yield Watched(echo, supervisor, dispatcher.client(ALICE), link, lines)
            nursery.cancel_scope.cancel()


async def test_a_handler_that_is_slow_is_reported_once_with_who_waits(watched, autojump_clock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(watched.there.call, Keep(), timeout=1000))
        await watched.echo.has_begun()
        nursery.start_soon(watched.client.call, Say("waits"))
        await trio.sleep(0.9 * SLOW)
        assert watched.reports == []
        await trio.sleep(10 * SLOW)
        watched.echo.let_go.set()

    [report] = watched.reports
    assert report["log_level"] == "warning"
    assert report["service"] == "echo"
    assert (report["operation"], report["request_id"], report["peer"]) == (
        "echo/keep",
        "1",
        "alice",
    )
    assert report["waiting"] == 1
    assert SLOW <= report["busy"] <= 1.25 * SLOW


async def test_a_report_comes_within_a_quarter_of_what_is_slow(watched, autojump_clock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.client.call, Keep())
        await trio.sleep(1.5 * SLOW + 0.01)
        assert len(watched.reports) == 1
        watched.echo.let_go.set()


async def test_each_slow_call_is_an_occurrence_of_its_own(watched, autojump_clock):
    for _ in range(3):
        watched.echo.let_go = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watched.client.call, Keep())
            await trio.sleep(2 * SLOW)
            watched.echo.let_go.set()

    assert len({report["request_id"] for report in watched.reports}) == 3


async def test_many_short_calls_are_not_one_long_one(watched, autojump_clock):
    for _ in range(20):
        watched.echo.let_go = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watched.client.call, Keep())
            await trio.sleep(SLOW / 2)
            watched.echo.let_go.set()

    assert watched.reports == []


async def test_a_concurrent_handler_keeps_nobody_from_anything(watched, autojump_clock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(watched.there.call, Hold(), timeout=1000))
        await trio.sleep(10 * SLOW)
        watched.echo.let_go.set()

    assert watched.reports == []


async def test_how_long_it_is_busy_is_there_to_be_read(watched, autojump_clock):
    assert watched.busy == 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.client.call, Keep())
        await trio.sleep(10 * SLOW)
        assert 9.5 * SLOW <= watched.busy <= 10 * SLOW
        watched.echo.let_go.set()
    await watched.client.call(Say("hi"))

    assert watched.busy == 0


async def test_what_stops_everything_else_is_reported_too(mock_clock):
    """Nobody can tell afterwards which handler it was, but that it was shows where to look."""
    supervisor = Supervisor([Actor(Echo())], slow=SLOW)
    with capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            await wait_all_tasks_blocked()
            mock_clock.jump(SLOW / 4 + 30)  # as if it had computed for 30 s
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    assert [line for line in lines if line["event"] == "nothing ran for a while"] == [
        {"event": "nothing ran for a while", "seconds": 30, "log_level": "warning"}
    ]


@pytest.mark.parametrize("slow", [0.0, SLOW])
async def test_without_services_or_limit_nothing_is_watched(slow, autojump_clock):
    supervisor = Supervisor([Actor(Echo())] if not slow else [], slow=slow)
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await wait_all_tasks_blocked()
        deadlines = trio.lowlevel.current_statistics().seconds_to_next_deadline
        nursery.cancel_scope.cancel()

    assert deadlines == float("inf")
