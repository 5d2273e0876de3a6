"""Callers: each asks and asks, checks what it gets, and counts every call's one outcome."""

import random
from collections import Counter
from contextlib import nullcontext

import trio

from alknet.call.client import Timeout
from alknet.errors import (
    Aborted,
    CallError,
    DeadlineExceeded,
    Disconnected,
    Internal,
    NotFound,
    Unavailable,
)

PATIENCE = 600.0


class Tally:
    """The numbers of the calls to make, and the outcomes of those that were made."""

    def __init__(self, calls):
        self.numbers = iter(range(calls))
        self.outcomes = Counter()


class Surprise(Exception):
    """An outcome that nothing which happened explains."""


class Caller:
    """One of many; what it asks follows from the seed."""

    def __init__(self, world, tally, seed):
        self._world = world
        self._tally = tally
        self._rng = random.Random(seed)

    async def run(self):
        """Ask until the numbers run out."""
        tally = self._tally
        for number in tally.numbers:
            asked = self._choose(number)
            outcome = await self._outcome(asked)
            begun = self._world.record.times_begun[number]
            if outcome == "answered" and asked.shape in ("call", "upload") and begun != 1:
                raise Surprise(f"{asked} was answered, and carried out {begun} times")
            tally.outcomes[outcome] += 1

    def _choose(self, number):
        rng, world = self._rng, self._world
        road = rng.choice(world.roads)
        service = rng.choice(road.services)
        timeout = patience = None
        how = rng.choice(("answer", "answer", "answer", "turn", "sleep"))
        if not world.is_calm:
            chance = rng.random()
            if chance < 0.02:
                how = "crash"
            elif chance < 0.05:
                how = "refuse"
            elif chance < 0.08:
                how = "hold"
            elif chance < 0.1 and world.may_fail():
                how = "fail"
            # A call that would never be answered is one that its caller ends.
            if how == "hold" or rng.random() < 0.1:
                if rng.random() < 0.5:
                    timeout = rng.uniform(0, 0.05)
                else:
                    patience = rng.uniform(0, 0.05)
        shape = rng.choices(("call", "stream", "upload", "duplex"), (12, 1, 1, 1))[0]
        return Asked(number, road, service, shape, how, timeout, patience, rng)

    async def _outcome(self, asked):
        """Return what became of the call, in a word; raise what must not."""
        try:
            with trio.move_on_after(asked.patience or PATIENCE) as scope:
                await asked.ask()
                return "answered"
        except CallError as error:
            return asked.explained(error, self._world)
        if not asked.patience:
            raise Surprise(f"no outcome within {PATIENCE} s: {asked}")
        assert scope.cancelled_caught
        return "given up"


class Asked:
    """One call."""

    def __init__(self, number, road, service, shape, how, timeout, patience, rng):
        self.number = number
        self.road = road
        self.service = service
        self.shape = shape
        self.how = how
        self.timeout = timeout
        self.patience = patience
        self._rng = rng
        self._operation = None
        if shape == "call":
            kind = rng.choice(service.calls)
            if how == "hold" and kind.__name__ in ("Snatch", "Peek"):
                kind = service.calls[0]
            self._operation = kind
        elif shape == "upload":
            self._operation = rng.choice(service.uploads)
        self._items = rng.randrange(20)

    def __str__(self):
        return (
            f"call {self.number}, {self.shape} {self._operation} {self.how} by {self.road.name}, "
            f"timeout {self.timeout}, patience {self.patience}"
        )

    async def ask(self):
        """Ask, and check that the answer is the one to this call."""
        await getattr(self, f"_{self.shape}")()

    def _is(self, found, expected):
        if found != expected:
            raise Surprise(f"{self}: {found!r} came, and {expected!r} was due")

    async def _call(self):
        request = self._operation(self.number, self.how)
        client, node = self.road.client, self.road.node
        answer = await client.call(request, node=node, timeout=self.timeout)
        self._is(answer, self.number ^ 0x5A5A)

    def _within(self):
        """Return what bounds a stream, which has no timeout of its own."""
        return nullcontext() if self.timeout is None else Timeout(str(self), self.timeout)

    async def _stream(self):
        to, leaves_at = self._items, self._rng.choice((None, None, 0, 3))
        window = self._rng.choice((1, 5, 64))
        request = self.service.Count(self.number, self.how, to)
        read = []
        with self._within():
            async with self.road.client.stream(
                request, node=self.road.node, window=window
            ) as items:
                if leaves_at == 0:
                    return
                async for item in items:
                    self._is(item, len(read))
                    read.append(item)
                    if len(read) == leaves_at:
                        return
        self._is(len(read), to)

    async def _upload(self):
        most = self._rng.choice((1000, 1000, 5))
        request = self._operation(self.number, self.how, most)
        items = range(self._items)
        total = await self.road.client.upload(
            request,
            self._slowly(items) if self._rng.random() < 0.3 else items,
            node=self.road.node,
            timeout=self.timeout,
        )
        self._is(total, sum(items[:most]))

    async def _slowly(self, items):
        for item in items:
            await trio.lowlevel.checkpoint()
            yield item

    async def _duplex(self):
        request = self.service.Double(self.number, self.how)
        with self._within():
            async with self.road.client.duplex(
                request, node=self.road.node, window=self._rng.choice((1, 5, 64))
            ) as line:
                for item in range(self._items):
                    await line.send(item)
                    self._is(await anext(line), 2 * item)
                if self._rng.random() < 0.2:
                    return
                line.finish_sending()
                async for item in line:
                    raise Surprise(f"{self}: {item!r} came, and nothing was sent for it")

    def explained(self, error, world):
        """Return a word for *error*; raise it if nothing that happened explains it."""
        kind = type(error)
        if kind is Internal and self.how in ("crash", "fail"):
            return "crashed"
        if kind is NotFound and self.how == "refuse":
            return "refused"
        if not world.is_calm:
            if kind is DeadlineExceeded and (self.timeout is not None or self.road.has_link):
                return "late"
            if kind is Disconnected and self.road.has_link:
                return "disconnected"
            if kind is Unavailable:
                return "unavailable"
            if kind is NotFound and self.road.is_relayed and "worker" in error.message:
                return "no worker"
            # Whoever sends into a duplex that has broken off is told so before it reads why.
            if kind is Aborted and self.shape == "duplex":
                return "aborted"
        raise Surprise(f"{self}: {error!r}") from error
