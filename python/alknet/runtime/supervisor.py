"""Supervisor: starts actors in the order of their needs, restarts what crashes, stops in reverse.

Each actor runs in a task of its own that ends by reporting how it ended; one loop reads the reports
and decides. An actor that ends is restarted according to its `restart` policy, after a pause that
doubles each time (with jitter, so that nodes that failed together do not come back together). The
actors that require it are restarted with it, since what they knew of it is gone (rest-for-one).
More than `intensity` restarts within `period` seconds mean that restarting does not help: the
failure then climbs to whoever runs the supervisor.
"""

import math
from collections import deque
from collections.abc import Iterable

import structlog
import trio

from alknet.errors import SettingsError, traced
from alknet.runtime.actor import Actor
from alknet.runtime.backoff import backoff

log = structlog.get_logger("alknet.supervisor")

INTENSITY = 5
PERIOD = 30.0


class RestartLimit(Exception):
    """A service failed so often that restarting it does not help; its last error is the cause."""


class _Child:
    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.restarts = 0


class Supervisor:
    """Runs *actors* for as long as `run` runs."""

    def __init__(
        self, actors: Iterable[Actor], *, intensity: int = INTENSITY, period: float = PERIOD
    ) -> None:
        self._children = [_Child(actor) for actor in in_order_of_need(actors)]
        self._intensity = intensity
        self._period = period
        self._recent: deque[float] = deque()
        self._report, self._reports = trio.open_memory_channel[tuple[_Child, Exception | None]](
            len(self._children) + 1
        )
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

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start every actor, report `started` when all take requests, and keep them running.

        Raises:
            Exception: an actor could not be started the first time; the others are stopped.
            RestartLimit: an actor failed too often.
        """
        async with trio.open_nursery() as nursery:
            for child in self._children:
                await nursery.start(self._keep, child)
            task_status.started()
            async for child, error in self._reports:
                await self._ended(nursery, child, error)

    async def stop(self, drain: float) -> None:
        """Stop every actor, dependents first; each may finish what it has begun.

        *drain* is in seconds, for all of them together; what is not done by then is cancelled.
        """
        self._is_stopping = True
        self._drained_by = min(self._drained_by, trio.current_time() + drain)
        for child in reversed(self._children):
            with trio.CancelScope(deadline=self._drained_by) as self._drain:
                await child.actor.drain()
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
        child.scope = trio.CancelScope()
        child.ended = trio.Event()

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
            child.ended.set()
        if has_started and not child.scope.cancelled_caught:
            self._report.send_nowait((child, error))

    async def _ended(self, nursery: trio.Nursery, child: _Child, error: Exception | None) -> None:
        policy = child.actor.service.restart
        if self._is_stopping or policy == "temporary" or (policy == "transient" and error is None):
            return
        name = child.actor.name
        now = trio.current_time()
        self._recent.append(now)
        while self._recent[0] < now - self._period:
            self._recent.popleft()
        if len(self._recent) > self._intensity:
            raise RestartLimit(
                f"the service {name!r} failed {len(self._recent)} times within {self._period:g} s"
            ) from error
        pause = backoff(len(self._recent))
        log.error(
            "service ended",
            service=name,
            restart_in=round(pause, 3),
            cause=None if error is None else traced(error),
        )
        with_it = [other for other in self._children if _needs(other, child, self._children)]
        for dependent in reversed(with_it):
            dependent.scope.cancel(reason=f"{name} is being restarted")
            await dependent.ended.wait()
        await trio.sleep(pause)
        for each in (child, *with_it):
            each.restarts += 1
            try:
                await nursery.start(self._keep, each)
            except Exception as failed:
                self._report.send_nowait((each, failed))
                return


def in_order_of_need(actors: Iterable[Actor]) -> list[Actor]:
    """Return *actors*, each after those it requires, otherwise in the order given.

    Raises:
        SettingsError: a required service is not there, or services require each other in a ring.
    """
    by_name = {actor.name: actor for actor in actors}
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
