"""Supervisor: starts actors in the order of their needs, restarts what crashes, stops in reverse.

Each actor runs in a task of its own that ends by reporting how it ended; one loop reads the reports
and decides. An actor that ends is restarted according to its `restart` policy, after a pause that
doubles each time (with jitter, so that nodes that failed together do not come back together). The
actors that require it are restarted with it, since what they knew of it is gone (rest-for-one); the
others go on, and one that pauses holds up no other.
More than `intensity` restarts within `period` seconds mean that restarting does not help: the
failure then climbs to whoever runs the supervisor.
"""

import math
from collections import deque
from collections.abc import Iterable

import structlog
import trio

from alknet.call.backoff import backoff
from alknet.errors import RestartLimit, SettingsError, traced
from alknet.protocol.stats import ServiceStats
from alknet.runtime.actor import Actor
from alknet.runtime.watchdog import Watchdog

log = structlog.get_logger("alknet.supervisor")

INTENSITY = 5
PERIOD = 30.0
_SAMPLE_SECONDS = 10.0


class _Child:
    """An actor, its present life, and, between two lives, the restart that it waits for."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.ended.set()
        self.restart: object | None = None
        self.restarts = 0

    def begin(self) -> None:
        """Have a new life, which is about to be started."""
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.restart = None


# What has ended, which of its lives that was, and the error if there was one.
_End = tuple[_Child, trio.Event, Exception | None]


class Supervisor:
    """Runs *actors* for as long as `run` runs.

    A handler that keeps its actor from others for *slow* seconds is reported in the log, and every
    now and then an answer that is not what its operation promises; 0 means that nothing is watched.
    """

    def __init__(
        self,
        actors: Iterable[Actor],
        *,
        intensity: int = INTENSITY,
        period: float = PERIOD,
        slow: float = 0.0,
    ) -> None:
        self._children = [_Child(actor) for actor in in_order_of_need(actors)]
        self._intensity = intensity
        self._period = period
        self._recent: deque[tuple[float, _Child]] = deque()
        self._report, self._reports = trio.open_memory_channel[_End](math.inf)
        self._is_watched = slow > 0 and bool(self._children)
        self._watchdog = Watchdog((actor.work for actor in self.actors), slow)
        self._is_stopping = False
        self._drained_by = math.inf
        self._drain = trio.CancelScope()

    @property
    def actors(self) -> list[Actor]:
        """The actors, each after those it requires."""
        return [child.actor for child in self._children]

    def restarts(self, name: str) -> int:
        """Return how often the actor called *name* has been restarted."""
        return sum(child.restarts for child in self._children if child.actor.name == name)

    def stats(self) -> tuple[ServiceStats, ...]:
        """Return how each service fares now, each after those it requires."""
        return tuple(
            ServiceStats(
                name=child.actor.name,
                state=child.actor.work.state,
                waiting=child.actor.work.waiting,
                restarts=child.restarts,
                busy=self._watchdog.busy(child.actor.work),
            )
            for child in self._children
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start every actor, report `started` when all take requests, and keep them running.

        Raises:
            Exception: an actor could not be started the first time; the others are stopped.
            RestartLimit: an actor failed too often.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watchdog.run)
            if self._is_watched:
                nursery.start_soon(self._sample)
            for child in self._children:
                child.begin()
                await nursery.start(self._keep, child)
            task_status.started()
            async for child, life, error in self._reports:
                # What has another life by now, or is about to, is old news.
                if life is child.ended and child.restart is None and self._returns(child, error):
                    self._restart_later(nursery, child, error)

    async def _sample(self) -> None:
        """Have answers looked at every now and then, until cancelled."""
        while True:
            await trio.sleep(_SAMPLE_SECONDS)
            for actor in self.actors:
                actor.sample()

    async def stop(self, drain: float) -> None:
        """Stop every actor, dependents first; each may finish what it has begun.

        *drain* is in seconds, for all of them together; what is not done by then is cancelled.
        """
        self._is_stopping = True
        self._drained_by = min(self._drained_by, trio.current_time() + drain)
        for child in reversed(self._children):
            with trio.CancelScope(deadline=self._drained_by) as self._drain:
                await child.actor.work.drain()
            child.scope.cancel(reason="the node is stopping")
            await child.ended.wait()

    def hurry(self) -> None:
        """Let `stop`, if it runs or will run, wait for no drain."""
        self._drained_by = -math.inf
        self._drain.cancel(reason="the node stops at once")

    async def _keep(
        self, child: _Child, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run one life of *child*; a start that fails is raised, a later end is reported."""
        has_started = False
        error: Exception | None = None
        life = child.ended

        class Started(trio.TaskStatus[None]):
            def started(self, value: None = None) -> None:
                nonlocal has_started
                has_started = True
                task_status.started()

        try:
            with child.scope:
                await child.actor.run(task_status=Started())
        except Exception as caught:
            if not has_started:
                raise
            error = caught
        finally:
            life.set()
        if has_started and not child.scope.cancelled_caught:
            self._report.send_nowait((child, life, error))

    def _returns(self, child: _Child, error: Exception | None) -> bool:
        """Tell whether *child*, which has ended with *error* or without, is to be restarted."""
        policy = child.actor.service.restart
        return not (
            self._is_stopping or policy == "temporary" or (policy == "transient" and error is None)
        )

    def _restart_later(self, nursery: trio.Nursery, child: _Child, error: Exception | None) -> None:
        """Have *child*, and what requires it, restarted after a pause.

        Raises:
            RestartLimit: there have been too many restarts.
        """
        name = child.actor.name
        now = trio.current_time()
        self._recent.append((now, child))
        while self._recent[0][0] < now - self._period:
            self._recent.popleft()
        if len(self._recent) > self._intensity:
            raise RestartLimit(
                f"services ended {len(self._recent)} times within {self._period:g} s, the last of "
                f"them {name!r}: restarting does not help"
            ) from error
        pause = backoff(sum(1 for _, each in self._recent if each is child))
        log.error(
            "service ended",
            service=name,
            restart_in=round(pause, 3),
            cause=None if error is None else traced(error),
        )
        with_it = [other for other in self._children if _needs(other, child, self._children)]
        restart = object()
        for each in (child, *with_it):
            each.restart = restart
        nursery.start_soon(self._restart, nursery, (child, *with_it), pause, restart)

    async def _restart(
        self, nursery: trio.Nursery, children: tuple[_Child, ...], pause: float, restart: object
    ) -> None:
        """Restart the first of *children* and the others, which require it.

        A child that another restart has taken over meanwhile, because something else that it
        requires has ended too, is left to that one.
        """
        for dependent in reversed(children[1:]):
            dependent.scope.cancel(reason=f"{children[0].actor.name} is being restarted")
            await dependent.ended.wait()
        await trio.sleep(pause)
        for child in children:
            if self._is_stopping:
                return
            if child.restart is not restart:
                continue
            child.begin()
            child.restarts += 1
            try:
                await nursery.start(self._keep, child)
            except Exception as failed:
                if child.restart is None and not self._is_stopping:
                    self._restart_later(nursery, child, failed)


def in_order_of_need(actors: Iterable[Actor]) -> list[Actor]:
    """Return *actors*, each after those it requires, otherwise in the order given.

    Raises:
        SettingsError: a required service is not there, services require each other in a ring, or
            two have one name.
    """
    by_name: dict[str, Actor] = {}
    for actor in actors:
        if by_name.setdefault(actor.name, actor) is not actor:
            raise SettingsError(f"two services are called {actor.name!r}: give each its own name")
    ordered: list[Actor] = []
    on_the_way: list[str] = []

    def place(name: str, wanted_by: str | None) -> None:
        if name not in by_name:
            raise SettingsError(f"the service {wanted_by!r} requires {name!r}, which is not set up")
        if by_name[name] in ordered:
            return
        if name in on_the_way:
            ring = " -> ".join([*on_the_way[on_the_way.index(name) :], name])
            raise SettingsError(f"services require each other in a ring: {ring}")
        on_the_way.append(name)
        for required in by_name[name].service.requires:
            place(required, name)
        on_the_way.pop()
        ordered.append(by_name[name])

    for name in by_name:
        place(name, None)
    return ordered


def _needs(other: _Child, child: _Child, children: list[_Child]) -> bool:
    """Whether *other* requires *child*, itself or through others."""
    by_name = {each.actor.name: each for each in children}
    return any(
        required == child.actor.name or _needs(by_name[required], child, children)
        for required in other.actor.service.requires
    )
