"""Untyped calls: the same JSON-like values, near and far, whatever a link is written in."""

import datetime
import math
from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from alknet import Request, Service, Subscription, handler, operation

from ..linked import linked, running


class Mixed(msgspec.Struct, frozen=True):
    """One of everything that JSON has no form of its own for."""

    data: bytes
    pair: tuple[int, str]
    names: dict[int, str]
    words: frozenset[str]
    when: datetime.datetime
    id: UUID
    price: Decimal
    far: float
    inner: tuple["Mixed", ...] = ()


@operation("untyped/mixed")
class GetMixed(Request[Mixed], frozen=True):
    """Return one with `data`, as of `when`."""

    data: bytes
    when: datetime.datetime


@operation("untyped/stream")
class StreamMixed(Subscription[Mixed], frozen=True):
    """Yield one with `data`, as of `when`."""

    data: bytes
    when: datetime.datetime


class Untyped(Service, namespace="untyped"):
    @handler
    async def mixed(self, request: GetMixed) -> Mixed:
        return _mixed(request)

    @handler
    async def stream(self, request: StreamMixed) -> AsyncIterator[Mixed]:
        yield _mixed(request)


def _mixed(request):
    one = Mixed(
        request.data,
        (1, "a"),
        {7: "b"},
        frozenset({"c"}),
        request.when,
        UUID(int=1),
        Decimal("1.50"),
        math.inf,
    )
    return msgspec.structs.replace(one, inner=(one,))


ONE = {
    "data": "AP8=",
    "pair": [1, "a"],
    "names": {"7": "b"},
    "words": ["c"],
    "when": "2026-11-23T00:00:00Z",
    "id": "00000000-0000-0000-0000-000000000001",
    "price": "1.50",
    "far": None,
    "inner": [],
}
MIXED = {**ONE, "inner": [ONE]}
WHEN = "2026-11-23T00:00:00Z"


def same(one, other):
    """Whether the two are equal to their types: a tuple is no list."""
    return one == other and repr(one) == repr(other)


@pytest.mark.parametrize("where", ["near", "json", "msgpack"])
@pytest.mark.parametrize("data", ["AP8=", b"\x00\xff"], ids=["base64", "bytes"])
async def test_what_comes_is_the_same_near_and_far(where, data):
    async with running(Untyped()) as dispatcher:
        async with linked(dispatcher, format="json" if where == "near" else where) as link:
            client = dispatcher.client(None) if where == "near" else link.client
            given = {"data": data, "when": WHEN}

            assert same(await client.invoke("/head/untyped/mixed", given), MIXED)
            async with client.invoke_stream("/head/untyped/stream", given) as items:
                assert same([item async for item in items], [MIXED])
