"""Supervisor: starts in the order of needs, restarts what ends, stops in reverse."""

from contextlib import asynccontextmanager

import pytest
import trio

from alknet import Request, Service, handler, operation
from alknet.errors import RestartLimit, SettingsError, first_of
from alknet.runtime.actor import Actor
from alknet.runtime.supervisor import Supervisor, in_order_of_need

from ..linked import FarInvocation


class Story(list):
    """What the services did, in order; and the services of a test, by name."""

    def __init__(self):
        super().__init__()
        self.crashes = {}
        self.fails_to_start = {}

    def service(self, name, *, requires=(), restart="permanent", handlers=None):
        """Return a service that writes what it does into this story."""
        story, policy, needs = self, restart, requires

        class Told(Service, namespace=name):
            requires = needs
            restart = policy

            @asynccontextmanager
            async def running(self):
                if story.fails_to_start.get(name, 0):
                    story.fails_to_start[name] -= 1
                    story.append(f"{name} fails")
                    raise OSError(f"{name} finds no disk")
                story.append(f"+{name}")
                try:
                    async with trio.open_nursery() as nursery:
                        crash = story.crashes[name] = Crash()
                        nursery.start_soon(crash.wait)
                        yield
                        nursery.cancel_scope.cancel()
                finally:
                    story.append(f"-{name}")

        return Told()

    def crash(self, name):
        """Make the service fail from within."""
        self.crashes[name].event.set()


class Crash:
    def __init__(self):
        self.event = trio.Event()

    async def wait(self):
        await self.event.wait()
        raise OSError("the disk is gone")


@pytest.fixture
def story():
    return Story()


@asynccontextmanager
async def supervised(*services, **options):
    """Run a supervisor over *services*; its failure, if any, is put into `ends`."""
    supervisor = Supervisor([Actor(service) for service in services], **options)
    supervisor.ends = []

    async def run(task_status):
        try:
            await supervisor.run(task_status=task_status)
        except Exception as error:
            supervisor.ends.append(first_of(error))

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        yield supervisor
        nursery.cancel_scope.cancel()


# Order.


async def test_services_start_after_what_they_require_and_stop_before_it(story):
    services = [
        story.service("web", requires=("auth", "store")),
        story.service("auth", requires=("store",)),
        story.service("store"),
    ]
    async with supervised(*services) as supervisor:
        assert story == ["+store", "+auth", "+web"]
        story.clear()
        await supervisor.stop(drain=1)

        assert story == ["-web", "-auth", "-store"]


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"a": ("b",)}, "the service 'a' requires 'b', which is not set up"),
        ({"a": ("a",)}, "services require each other in a ring: a -> a"),
        (
            {"a": ("b",), "b": ("c",), "c": ("b",)},
            "services require each other in a ring: b -> c -> b",
        ),
    ],
)
def test_needs_that_cannot_be_met_are_named(story, needs, words):
    actors = [Actor(story.service(name, requires=requires)) for name, requires in needs.items()]

    with pytest.raises(SettingsError) as caught:
        in_order_of_need(actors)
    assert str(caught.value) == words


def test_two_services_of_one_name_are_refused_and_neither_is_dropped(story):
    with pytest.raises(SettingsError, match="two services are called 'echo'"):
        in_order_of_need([Actor(story.service("echo")), Actor(story.service("echo"))])


async def test_a_service_that_cannot_start_stops_those_that_did_and_says_why(story):
    story.fails_to_start["b"] = 1
    supervisor = Supervisor([Actor(story.service(name)) for name in "abc"])

    with pytest.raises(ExceptionGroup) as caught:
        await supervisor.run()

    assert str(first_of(caught.value)) == "b finds no disk"
    assert story == ["+a", "b fails", "-a"]


async def test_stopping_what_never_started_returns(story, autojump_clock):
    supervisor = Supervisor([Actor(story.service(name)) for name in "ab"])
    with trio.fail_after(1):
        await supervisor.stop(drain=1)


# Restarts.


async def test_a_crashed_service_is_started_again_after_a_pause(story, autojump_clock):
    async with supervised(story.service("a"), story.service("b")) as supervisor:
        story.clear()
        story.crash("a")
        await trio.sleep(0.02)
        assert story == ["-a"], "it came back without a pause"
        await trio.sleep(1)

        assert story == ["-a", "+a"]
        assert supervisor.restarts("a") == 1
        assert supervisor.restarts("b") == 0


async def test_what_requires_it_is_restarted_with_it_and_nothing_else(story, autojump_clock):
    services = [
        story.service("store"),
        story.service("auth", requires=("store",)),
        story.service("web", requires=("auth",)),
        story.service("clock"),
    ]
    async with supervised(*services) as supervisor:
        story.clear()
        story.crash("store")
        await trio.sleep(1)

        assert story == ["-store", "-web", "-auth", "+store", "+auth", "+web"]
        assert [supervisor.restarts(name) for name in ("store", "auth", "web", "clock")] == [
            1,
            1,
            1,
            0,
        ]


@pytest.mark.parametrize(
    ("policy", "is_error", "comes_back"),
    [
        ("permanent", True, True),
        ("permanent", False, True),
        ("transient", True, True),
        ("transient", False, False),
        ("temporary", True, False),
        ("temporary", False, False),
    ],
)
async def test_the_restart_policy_decides(story, policy, is_error, comes_back, autojump_clock):
    class Brief(Service, namespace="brief"):
        restart = policy
        lives = 0

        @asynccontextmanager
        async def running(self):
            Brief.lives += 1
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    if Brief.lives == 1:
                        nursery.start_soon(self.end, scope)
                    yield

        async def end(self, scope):
            await trio.sleep(0.1)
            if is_error:
                raise OSError("the disk is gone")
            scope.cancel()

    async with supervised(Brief(), story.service("other")) as supervisor:
        await trio.sleep(2)

        assert Brief.lives == (2 if comes_back else 1)
        assert story == ["+other"]
        assert not supervisor.ends


async def test_pauses_grow_and_too_many_restarts_climb(story, autojump_clock):
    async with supervised(story.service("a"), intensity=3, period=30) as supervisor:
        pauses = []
        for _ in range(3):
            lives = story.count("+a")
            story.crash("a")
            crashed = trio.current_time()
            while story.count("+a") == lives:  # noqa: ASYNC110 - the clock jumps
                await trio.sleep(0.001)
            pauses.append(trio.current_time() - crashed)
        assert not supervisor.ends
        story.crash("a")
        await trio.sleep(1)

        (end,) = supervisor.ends
        assert isinstance(end, RestartLimit)
        assert str(end) == (
            "services ended 4 times within 30 s, the last of them 'a': restarting does not help"
        )
        assert str(end.__cause__) == "the disk is gone" or isinstance(end.__cause__, ExceptionGroup)
        assert pauses[0] < 0.06 < pauses[2]


async def test_failures_long_apart_never_reach_the_limit(story, autojump_clock):
    async with supervised(story.service("a"), intensity=2, period=30) as supervisor:
        for _ in range(20):
            story.crash("a")
            await trio.sleep(20)

        assert not supervisor.ends
        assert supervisor.restarts("a") == 20


async def test_a_service_that_fails_to_start_again_is_tried_again(story, autojump_clock):
    async with supervised(story.service("a")) as supervisor:
        story.clear()
        story.fails_to_start["a"] = 2
        story.crash("a")
        await trio.sleep(5)

        assert story == ["-a", "a fails", "a fails", "+a"]
        assert not supervisor.ends


async def test_one_dependent_that_fails_to_start_does_not_keep_the_others_down(
    story, autojump_clock
):
    services = [
        story.service("store"),
        story.service("auth", requires=("store",)),
        story.service("web", requires=("store",)),
        story.service("page", requires=("auth",)),
    ]
    async with supervised(*services) as supervisor:
        story.clear()
        story.fails_to_start["auth"] = 1
        story.crash("store")
        await trio.sleep(5)

        assert not supervisor.ends
        assert {line for line in story if story.count(line) != 1} == set(), story
        assert next(line for line in story if line[0] == "+") == "+store"
        assert {line for line in story if line[0] == "+"} == {"+store", "+auth", "+web", "+page"}
        assert story.index("+auth") < story.index("+page")


async def test_services_that_crash_together_each_come_back_once(story, autojump_clock):
    """The dependent's own end is old news by the time its turn comes: it has been restarted."""
    services = [story.service("store"), story.service("auth", requires=("store",))]
    async with supervised(*services) as supervisor:
        story.clear()
        story.crash("store")
        story.crash("auth")
        await trio.sleep(5)

        assert sorted(story) == ["+auth", "+store", "-auth", "-store"]
        assert not supervisor.ends


async def test_a_service_that_pauses_does_not_hold_up_another_ones_restart(story, autojump_clock):
    async with supervised(story.service("a"), story.service("b"), intensity=100) as supervisor:
        story.fails_to_start["a"] = 9
        story.crash("a")
        await trio.sleep(8)
        assert story.fails_to_start["a"], "a should be in the middle of a long pause"
        story.clear()
        story.crash("b")
        await trio.sleep(0.3)

        assert "+b" in story
        assert not supervisor.ends


# Stopping.


async def test_stopping_in_the_pause_before_a_restart_starts_nothing(story, autojump_clock):
    @operation("slow/wait")
    class Wait(Request[None], frozen=True):
        """Take a while."""

    class Slow(Service, namespace="slow"):
        @handler
        async def wait(self, _: Wait) -> None:
            await trio.sleep(5)

    slow = Slow()
    async with supervised(slow, story.service("a")) as supervisor:
        actor = supervisor.actors[0]
        entry = next(actor.entries())
        story.clear()
        story.crash("a")
        await trio.sleep(0.01)
        assert story == ["-a"]

        call = FarInvocation(entry, Wait())
        entry.endpoint.submit(call)
        await supervisor.stop(drain=10)
        await trio.sleep(20)

        assert story == ["-a"], "a service was started while the node stopped"
        assert call.outcomes == [None], "the drain did not wait for what was begun"


async def test_a_drain_has_an_end(story, autojump_clock):
    class Stubborn(Service, namespace="stubborn"):
        @asynccontextmanager
        async def running(self):
            yield

    async with supervised(Stubborn()) as supervisor:
        supervisor.actors[0].work.busy += 1  # as a handler in a caller's task that never ends
        began = trio.current_time()
        await supervisor.stop(drain=3)

        assert trio.current_time() - began == pytest.approx(3)


async def test_a_crash_while_stopping_is_no_reason_to_restart(story, autojump_clock):
    async with supervised(story.service("a"), story.service("b")) as supervisor:
        supervisor.actors[1].work.busy += 1
        story.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.stop, 5)
            await trio.sleep(1)
            story.crash("a")
        await trio.sleep(5)

        assert story == ["-a", "-b"]
        assert not supervisor.ends
