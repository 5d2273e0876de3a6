"""What a type checker must refuse: each line that ends in a mark must be reported, and no other.

A mark reads `error:` and the name of the checker that sees it, if it is not both.
"""

# ruff: noqa: B007, B018 - these lines are here to be refused, not to do anything

from collections.abc import AsyncIterator

import alknet
from alknet import Client, Request, Service, Subscription, handler

from .shapes import Convert, Now, Reading, Record, Watch


def use(*values: object) -> None:
    """Let no checker say that a value is not used."""


async def requests(client: Client) -> None:
    Now()  # error:
    Now(20)  # error:
    Now("here", "there")  # error:
    Now(town="here")  # error:
    Watch(after="yesterday")  # error:
    request = Now("here")
    request.place = "there"  # error:


async def calls_of_another_shape(client: Client) -> None:
    await client.call(Watch())  # error:
    await client.call(Record())  # error:
    await client.call(Convert())  # error:
    await client.call(Now)  # error:
    await client.call("/head/weather/now")  # error:
    client.stream(Now("here"))  # error:
    client.stream(Convert())  # error:
    client.duplex(Watch())  # error:
    client.duplex(Now("here"))  # error:
    await client.upload(Now("here"), [Reading(1.0)])  # error:
    await client.upload(Convert(), [1.0])  # error:


async def options(client: Client) -> None:
    await client.call(Now("here"), node=1)  # error:
    await client.call(Now("here"), node=None)  # error:
    await client.call(Now("here"), timeout="2 s")  # error:
    await client.call(Now("here"), window=4)  # error:
    await client.call(Now("here"), "worker-1")  # error:
    client.stream(Watch(), timeout=2.0)  # error:
    client.stream(Watch(), window=2.5)  # error:
    client.duplex(Convert(), window=None)  # error:
    await client.invoke(Now("here"))  # error:
    await client.invoke("/head/weather/now", timeout="soon")  # error:


async def replies(client: Client) -> None:
    text: str = await client.call(Now("here"))  # error:
    number: float = await client.call(Now("here"))  # error:
    late: Reading = client.call(Now("here"))  # error:
    (await client.call(Now("here"))).kelvin  # error:
    many: str = await client.upload(Record(), [])  # error:
    use(text, number, late, many)


async def items(client: Client) -> None:
    async with client.stream(Watch()) as readings:
        word: str = await anext(readings)  # error:
        async for reading in readings:
            reading.kelvin  # error:
            use(reading + 1)  # error:
        for reading in readings:  # error:
            pass
        await readings.send(Reading(1.0))  # error:
        use(word)
    async for each in client.call(Now("here")):  # error:
        use(each)


async def words() -> AsyncIterator[str]:
    yield "warm"


async def uploads(client: Client) -> None:
    await client.upload(Record())  # error:
    await client.upload(Record(), Reading(1.0))  # error:
    await client.upload(Record(), [20.5, 21.0])  # error:
    await client.upload(Record(), ["warm"])  # error:
    await client.upload(Record(), words())  # error:
    async with client.stream(Watch()) as readings:
        await client.upload(Record(), (each.celsius async for each in readings))  # error:


async def duplexes(client: Client) -> None:
    async with client.duplex(Convert()) as line:
        await line.send("hot")  # error:
        await line.send(Reading(1.0))  # error:
        number: float = await anext(line)  # error:
        use(number)


class Wrong(Service, namespace="weather"):
    @handler
    async def now(self, request: Now) -> Reading:
        return request.place  # error:

    @handler
    async def watch(self, request: Watch) -> AsyncIterator[Reading]:
        yield request.after  # error:

    @handler
    async def record(self, _: Record, readings: AsyncIterator[Reading]) -> int:
        async for reading in readings:
            return reading.celsius  # error:
        return "none"  # error:

    @handler(concurrently=True)  # error:
    async def convert(self, _: Convert, items: AsyncIterator[float]) -> AsyncIterator[Reading]:
        async for fahrenheit in items:
            yield fahrenheit  # error:


class TwoReplies(Request[int, str], frozen=True):  # error:
    pass


class NoItem(Subscription[Reading, Reading], frozen=True):  # error:
    pass


async def nodes() -> None:
    async with alknet.connect("wss://head") as client:  # error:
        await client.call(Now("here"))
    async with alknet.connect("wss://head", identity=b"secret"):  # error:
        pass
    async with alknet.connect("wss://head", identity="token", format="xml"):  # error:
        pass
    async with alknet.connect("wss://head", identity="token", services=[Wrong]):  # error:
        pass
    async with alknet.open_node(services=Wrong()):  # error:
        pass
    async with alknet.open_node() as node:
        node.client = None  # error:
        await node.call(Now("here"))  # error:
