"""The worker's own service: what a worker has that a head can call."""

import os
from collections.abc import AsyncIterator

import msgspec
import trio

from alknet import Request, Service, Subscription, handler, operation


class Greeting(msgspec.Struct, frozen=True):
    """A greeting, and the process that it comes from."""

    text: str
    process: int


@operation("greeter/greet", scopes=("greeter:use",))
class Greet(Request[Greeting], frozen=True):
    """Greet `name`."""

    name: str


@operation("greeter/count", scopes=("greeter:use",))
class Count(Subscription[int], frozen=True):
    """Count from 1 to `to`."""

    to: int


@operation("greeter/ponder", scopes=("greeter:use",))
class Ponder(Subscription[str], frozen=True):
    """Say "hm" and then nothing more, for as long as somebody listens."""


class Greeter(Service, namespace="greeter"):
    """Greets, counts and ponders."""

    @handler(concurrent=True)
    def greet(self, request: Greet) -> Greeting:
        return Greeting(f"Hello, {request.name}!", os.getpid())

    @handler
    async def count(self, request: Count) -> AsyncIterator[int]:
        for number in range(1, request.to + 1):
            yield number

    @handler
    async def ponder(self, _: Ponder) -> AsyncIterator[str]:
        yield "hm"
        await trio.sleep_forever()
