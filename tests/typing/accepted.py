"""What a type checker must accept, and the types that it must see without being told."""

from collections.abc import AsyncIterator
from typing import Any, assert_type

import alknet
import alknet.testing
from alknet import Client, Node, Stream
from alknet.call.sink import DuplexStream

from .shapes import Convert, Now, Reading, Record, Watch, Weather


async def calls(client: Client) -> None:
    assert_type(await client.call(Now("here")), Reading)
    assert_type(await client.call(Now(place="here"), node="worker-1", timeout=2.5), Reading)
    assert_type(await client.call(Now("here"), timeout=None), Reading)
    assert_type((await client.call(Now("here"))).celsius, float)
    assert_type(await client.invoke("/head/weather/now", {"place": "here"}, timeout=1), Any)


async def streams(client: Client) -> None:
    assert_type(client.stream(Watch()), Stream[Reading])
    async with client.stream(Watch(after=20.5), node="worker-1", window=8) as readings:
        assert_type(readings, Stream[Reading])
        async for reading in readings:
            assert_type(reading, Reading)
        assert_type(await anext(readings), Reading)
        assert_type([each.celsius async for each in readings], list[float])
    async with client.invoke_stream("/head/weather/watch") as items:
        async for item in items:
            assert_type(item, Any)


async def measured() -> AsyncIterator[Reading]:
    yield Reading(20.0)


async def uploads(client: Client) -> None:
    assert_type(await client.upload(Record(), [Reading(1.0), Reading(2.0)]), int)
    assert_type(await client.upload(Record(), (Reading(n) for n in range(3))), int)
    assert_type(await client.upload(Record(), measured(), node="worker-1", timeout=9), int)
    async with client.stream(Watch()) as readings:
        assert_type(await client.upload(Record(), readings), int)


async def duplexes(client: Client) -> None:
    assert_type(client.duplex(Convert()), DuplexStream[float, Reading])
    async with client.duplex(Convert(), node="worker-1", window=4) as line:
        await line.send(451.0)
        assert_type(await anext(line), Reading)
        line.finish_sending()
        async for reading in line:
            assert_type(reading, Reading)


async def nodes() -> None:
    async with alknet.open_node(services=[Weather()]) as node:
        assert_type(node, Node)
        assert_type(node.client, Client)
        assert_type(await node.client.call(Now("here")), Reading)
    async with alknet.connect("wss://head", identity="token", services=[Weather()]) as client:
        assert_type(client, Client)


async def tests() -> None:
    async with (
        alknet.testing.node([Weather()]) as node,
        alknet.testing.connected(node, scopes=["weather:read"], reconnect=True) as client,
        alknet.testing.no_orphans(),
    ):
        assert_type(await client.call(Now("here")), Reading)
        road = alknet.testing.FaultyRoad(
            alknet.testing.road_to(node),
            lambda number: alknet.testing.Faults(
                receiving=alknet.testing.Fault(after_messages=number)
            ),
        )
        async with alknet.testing.connected(node, dial=road.dial) as other:
            assert_type(other, Client)
