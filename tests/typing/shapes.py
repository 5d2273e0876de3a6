"""One request of each shape, and a service that answers them: what the example files ask."""

from collections.abc import AsyncIterator

import msgspec

from alknet import Context, Duplex, Request, Service, Subscription, Upload, handler, operation


class Reading(msgspec.Struct, frozen=True):
    celsius: float


@operation("weather/now", scopes=("weather:read",))
class Now(Request[Reading], frozen=True):
    """Return the last reading at `place`."""

    place: str


@operation("weather/watch", resume=("after", "celsius"))
class Watch(Subscription[Reading], frozen=True):
    """Yield each reading."""

    after: float | None = None


@operation("weather/record")
class Record(Upload[Reading, int], frozen=True):
    """Take readings; return how many."""


@operation("weather/convert")
class Convert(Duplex[float, Reading], frozen=True):
    """Take degrees Fahrenheit, yield readings."""


class Weather(Service, namespace="weather"):
    @handler
    async def now(self, request: Now) -> Reading:
        return Reading(len(request.place))

    @handler
    async def watch(self, _: Watch, context: Context) -> AsyncIterator[Reading]:
        yield await context.env.call(Now("here"))

    @handler(concurrent=True, uses=(Now, "weather/watch"))
    async def record(self, _: Record, items: AsyncIterator[Reading]) -> int:
        return len([item async for item in items])

    @handler
    async def convert(self, _: Convert, items: AsyncIterator[float]) -> AsyncIterator[Reading]:
        async for fahrenheit in items:
            yield Reading((fahrenheit - 32) / 1.8)
