"""Uploads and duplexes: items that the caller sends, near and far, as fast as they are read."""

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import Duplex, Service, Upload, handler, operation
from alknet.errors import (
    Aborted,
    DeadlineExceeded,
    Disconnected,
    Internal,
    InvalidInput,
    InvalidOperationType,
    NotFound,
)

from ..echo import Echo, Say
from ..linked import facing, linked, running
from ..people import ALICE


@operation("shop/total")
class Total(Upload[int, int], frozen=True):
    """Return the sum of the first `most` items."""

    most: int = 1_000_000


@operation("shop/slow")
class Slow(Upload[int, int], frozen=True):
    """Read nothing until told to."""


@operation("shop/broken")
class Broken(Upload[int, int], frozen=True):
    """Read one item and fail."""

    badly: bool = False


@operation("shop/haggle")
class Haggle(Duplex[int, int], frozen=True):
    """Answer each offer with one more, at most `most` times."""

    most: int = 1_000_000


@operation("shop/deaf")
class Deaf(Duplex[int, int], frozen=True):
    """Send without ever reading."""


class Shop(Service, namespace="shop"):
    def __init__(self):
        self.read = trio.Event()
        self.active = 0
        self.begun = 0

    @handler(concurrent=True)
    async def total(self, request: Total, items: AsyncIterator[int]) -> int:
        total = count = 0
        async for item in items:
            total += item
            count += 1
            if count == request.most:
                break
        return total

    @handler(concurrent=True)
    async def slow(self, _: Slow, items: AsyncIterator[int]) -> int:
        self.active += 1
        self.begun += 1
        try:
            await self.read.wait()
            return sum([item async for item in items])
        finally:
            self.active -= 1

    @handler(concurrent=True)
    async def broken(self, request: Broken, items: AsyncIterator[int]) -> int:
        await anext(items)
        if request.badly:
            raise ZeroDivisionError
        raise NotFound("not in stock")

    @handler
    async def haggle(self, request: Haggle, offers: AsyncIterator[int]) -> AsyncIterator[int]:
        self.active += 1
        self.begun += 1
        try:
            count = 0
            async for offer in offers:
                yield offer + 1
                count += 1
                if count == request.most:
                    return
        finally:
            self.active -= 1

    @handler
    async def deaf(self, _: Deaf, offers: AsyncIterator[int]) -> AsyncIterator[int]:
        for number in range(1000):
            yield number


class Setting:
    def __init__(self, shop, client, link):
        self.shop = shop
        self.client = client
        self.link = link

    async def ended(self):
        """Assert that nothing is left of any call."""
        await wait_all_tasks_blocked()
        assert self.shop.active == 0
        for session in (self.link.near, self.link.far):
            assert not session.inbound
            assert not session.pending
        assert await self.client.call(Say("still here")) == "still here"


@pytest.fixture(params=["here", "json", "msgpack"])
async def shop(request):
    shop = Shop()
    format = "msgpack" if request.param == "msgpack" else "json"
    async with running(shop, Echo()) as dispatcher, linked(dispatcher, format=format) as link:
        client = dispatcher.client(ALICE) if request.param == "here" else link.client
        yield Setting(shop, client, link)


async def numbers(to, *, fail=False):
    for number in range(to):
        yield number
    if fail:
        raise OSError("the file has ended")


# Uploads.


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 5000])
@pytest.mark.parametrize("kind", [range, numbers])
async def test_every_item_arrives_and_the_answer_comes_back(shop, count, kind):
    assert await shop.client.upload(Total(), kind(count)) == sum(range(count))
    await shop.ended()


async def test_a_handler_may_answer_before_it_has_read_everything(shop):
    with trio.fail_after(5):
        assert await shop.client.upload(Total(most=3), iter(int, 1)) == 0
    await shop.ended()


async def test_a_handler_that_does_not_read_holds_one_window_of_items(shop):
    sent = 0

    async def many():
        nonlocal sent
        for number in range(10_000):
            yield number
            sent += 1

    async with trio.open_nursery() as nursery:

        async def upload():
            assert await shop.client.upload(Slow(), many()) == sum(range(10_000))

        nursery.start_soon(upload)
        await wait_all_tasks_blocked()
        assert sent <= 64
        shop.shop.read.set()
    await shop.ended()


@pytest.mark.parametrize(("badly", "error"), [(False, NotFound), (True, Internal)])
async def test_an_error_of_the_handler_ends_the_upload(shop, badly, error):
    with trio.fail_after(5), pytest.raises(error):
        await shop.client.upload(Broken(badly), iter(int, 1))
    await shop.ended()


async def test_an_error_of_the_items_ends_the_call_and_comes_out_as_it_is(shop):
    with trio.fail_after(5), pytest.raises(OSError, match="the file has ended"):
        await shop.client.upload(Slow(), numbers(3, fail=True))
    await shop.ended()


async def test_a_caller_who_leaves_cancels_the_handler(shop):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shop.client.upload, Slow(), numbers(3))
        while not shop.shop.begun:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    await shop.ended()


async def test_a_timeout_bounds_the_whole_upload(shop, autojump_clock):
    began = trio.current_time()
    with pytest.raises(DeadlineExceeded):
        await shop.client.upload(Slow(), numbers(3), timeout=4)

    assert trio.current_time() - began == pytest.approx(4, abs=0.1)
    await shop.ended()


async def test_an_upload_over_a_link_waits_as_long_as_something_moves(autojump_clock):
    """Its time starts anew with each item, or uploads of hours would need a timeout of hours."""
    shop = Shop()

    async def slowly():
        for number in range(5):
            await trio.sleep(20)
            yield number

    async with running(shop) as dispatcher, linked(dispatcher) as link:
        assert await link.client.upload(Total(), slowly()) == 10
        with pytest.raises(DeadlineExceeded):
            await link.client.upload(Slow(), numbers(3))


async def test_a_lost_link_ends_an_upload():
    shop = Shop()
    async with running(shop) as dispatcher, linked(dispatcher) as link:
        async with trio.open_nursery() as nursery:

            async def upload():
                with pytest.raises(Disconnected):
                    await link.client.upload(Slow(), iter(int, 1))

            nursery.start_soon(upload)
            while not shop.begun:
                await trio.lowlevel.checkpoint()
            await link.far.link.aclose()
        await wait_all_tasks_blocked()

        assert shop.active == 0


async def test_an_item_that_does_not_fit_fails_the_upload_and_says_why():
    async with running(Shop()) as dispatcher, linked(dispatcher) as link:
        with trio.fail_after(5), pytest.raises(InvalidInput, match="expected `int`, got `str`"):
            await link.client.upload(Total(), ["one"])


async def test_an_upload_is_asked_as_nothing_else(shop):
    with pytest.raises(InvalidOperationType, match="upload to it instead"):
        await shop.client.call(Total())
    with pytest.raises(InvalidOperationType, match="upload to it instead"):
        await shop.client.invoke("/head/shop/total", {})
    with pytest.raises(InvalidOperationType):
        await shop.client.upload(Say("x"), [])


# Duplexes.


async def test_offers_go_and_answers_come(shop):
    async with shop.client.duplex(Haggle()) as talk:
        for offer in range(300):
            await talk.send(offer)
            assert await anext(talk) == offer + 1
        talk.finish_sending()
        with pytest.raises(StopAsyncIteration):
            await anext(talk)
    await shop.ended()


async def test_both_ways_run_at_once_and_neither_beyond_its_window(shop):
    async with shop.client.duplex(Haggle(), window=3) as talk:
        sent = 0

        async def send():
            nonlocal sent
            for offer in range(500):
                await talk.send(offer)
                sent += 1
            talk.finish_sending()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await wait_all_tasks_blocked()
            assert sent < 150, "what nobody reads piles up"
            assert [answer async for answer in talk] == list(range(1, 501))
    await shop.ended()


async def test_leaving_ends_both_ways(shop):
    async with shop.client.duplex(Haggle()) as talk:
        await talk.send(1)
        assert await anext(talk) == 2
    await shop.ended()
    with pytest.raises(Aborted):
        await talk.send(2)


async def test_a_handler_that_ends_first_ends_both_ways(shop):
    async with shop.client.duplex(Haggle(most=1)) as talk:
        await talk.send(1)
        assert await anext(talk) == 2
        with pytest.raises(StopAsyncIteration):
            await anext(talk)
        with trio.fail_after(5), pytest.raises(Aborted):
            while True:
                await talk.send(2)
    await shop.ended()


async def test_a_handler_that_never_reads_is_still_heard(shop):
    async with shop.client.duplex(Deaf()) as talk:
        assert [number async for number in talk] == list(range(1000))
    await shop.ended()


async def test_sending_before_it_is_open_is_a_mistake_that_is_told(shop):
    talk = shop.client.duplex(Haggle())
    with pytest.raises(Aborted, match="is not open"):
        await talk.send(1)


# A peer that sends more than it was asked for.


async def test_items_beyond_the_credit_fail_the_call_and_not_the_link():
    shop = Shop()
    async with running(shop, Echo()) as dispatcher, facing(dispatcher) as (session, peer):
        peer.encoder.requested("1", "/shop/slow", b"{}")
        for _ in range(100):
            peer.encoder.item("1", b"1")
        await peer.send()
        credit, failed = await peer.hear(), await peer.hear()
        assert credit.items == 64
        assert failed.code == "INVALID_INPUT"
        assert "more items came than there was credit for" in failed.message
        await wait_all_tasks_blocked()
        assert shop.active == 0
        peer.encoder.requested("2", "/echo/say", b'{"text": "x"}')
        await peer.send()
        assert (await peer.hear()).output == b'"x"'
        assert not session.is_closed


async def test_items_of_calls_that_take_none_go_nowhere():
    async with running(Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        peer.encoder.requested("1", "/echo/hold", b"{}")
        peer.encoder.item("1", b"1")
        peer.encoder.finished("1")
        peer.encoder.item("9", b"1")
        peer.encoder.ping("7")
        await peer.send()

        assert type(await peer.hear()).__name__ == "LinkPong"


async def test_a_peer_that_says_finished_twice_has_finished_once():
    async with running(Shop()) as dispatcher, facing(dispatcher) as (_, peer):
        peer.encoder.requested("1", "/shop/total", b"{}")
        peer.encoder.item("1", b"5")
        peer.encoder.finished("1")
        peer.encoder.finished("1")
        peer.encoder.item("1", b"7")
        await peer.send()
        await peer.hear()

        assert (await peer.hear()).output == b"5"
