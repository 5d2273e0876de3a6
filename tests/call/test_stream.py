"""Stream: the consumer's side of a subscription, and what leaving it does to the producer."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet.call.stream import Stream
from alknet.identity import Identity

from ..echo import Count, Echo, Silence, Ticks
from ..linked import linked, running
from ..people import ALICE


class Producer:
    """Pushes *items*, ends the stream if it is told to, and counts how often it is stopped."""

    def __init__(self, *items, error=None, ends=True):
        self.items = items
        self.error = error
        self.ends = ends
        self.started = 0
        self.stopped = 0

    async def start(self, stream):
        self.started += 1
        for item in self.items:
            stream.push(item)
        if self.ends:
            stream.finish(self.error)
        return self.stop

    async def stop(self):
        self.stopped += 1


async def test_items_come_in_order_and_then_the_stream_ends():
    async with Stream(Producer(1, 2, 3).start) as items:
        assert [item async for item in items] == [1, 2, 3]


async def test_the_producers_error_comes_after_the_items_that_went_before_it():
    async with Stream(Producer(1, error=KeyError("k")).start) as items:
        assert await anext(items) == 1
        for _ in range(2):
            with pytest.raises(KeyError):
                await anext(items)


async def test_nothing_starts_before_the_block_is_entered():
    producer = Producer()
    stream = Stream(producer.start)
    assert not producer.started

    async with stream:
        assert producer.started == 1


async def test_iterating_outside_the_block_is_a_mistake_that_is_told(autojump_clock):
    stream = Stream(Producer(1).start)

    with trio.fail_after(1), pytest.raises(RuntimeError, match="async with"):
        await anext(stream)


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_without_room_for_an_item_is_refused(window):
    with pytest.raises(ValueError, match="at least 1"):
        Stream(Producer().start, window)


async def test_after_the_block_nothing_is_left_to_read():
    async with Stream(Producer(1, 2).start) as items:
        pass

    assert [item async for item in items] == []


async def test_leaving_twice_stops_the_producer_once():
    producer = Producer(ends=False)
    async with Stream(producer.start) as items:
        pass
    await items.__aexit__(None, None, None)

    assert producer.stopped == 1


async def test_credit_is_granted_by_half_windows_and_never_beyond_the_window():
    granted = []
    async with Stream(Producer(ends=False).start, 8) as items:
        items.grant_with(granted.append)
        outstanding = 8
        for number in range(100):
            assert outstanding > 0, "a producer with nothing granted would stand still"
            items.push(number)
            outstanding -= 1
            assert await anext(items) == number
            outstanding += sum(granted)
            granted.clear()
            assert outstanding <= 8


@pytest.mark.parametrize("window", [1, 2, 3])
async def test_the_smallest_windows_keep_the_items_coming(window):
    async with running(Echo()) as dispatcher, linked(dispatcher) as link:
        async with link.client.stream(Count(20), window=window) as items:
            assert [item async for item in items] == list(range(20))


async def test_a_producer_in_this_process_never_runs_ahead_of_the_window():
    async with running(Echo()) as dispatcher:
        async with dispatcher.client(ALICE).stream(Count(1000), window=5) as items:
            await wait_all_tasks_blocked()
            assert len(items._items) == 5
            assert [item async for item in items] == list(range(1000))


@pytest.mark.parametrize("is_remote", [False, True])
async def test_the_finally_blocks_of_the_producer_have_run_when_the_block_is_left(is_remote):
    echo = Echo()
    async with running(echo) as dispatcher, linked(dispatcher) as link:
        client = link.client if is_remote else dispatcher.client(ALICE)
        async with client.stream(Ticks()) as items:
            assert await anext(items) == 0
            assert echo.active == 1
        if is_remote:  # it has been told, and needs a moment
            await wait_all_tasks_blocked()

        assert echo.active == 0


@pytest.mark.parametrize("is_remote", [False, True])
@pytest.mark.parametrize("way", ["break", "raise", "cancel"])
async def test_however_the_consumer_leaves_the_producer_is_stopped(is_remote, way, autojump_clock):
    echo = Echo()
    async with running(echo) as dispatcher, linked(dispatcher) as link:
        client = link.client if is_remote else dispatcher.client(ALICE)

        async def consume():
            async with client.stream(Ticks()) as items:
                async for _ in items:
                    if way == "break":
                        break
                    if way == "raise":
                        raise KeyError
                    await trio.sleep_forever()

        with trio.move_on_after(1):
            try:
                await consume()
            except KeyError:
                assert way == "raise"
        await wait_all_tasks_blocked()

        assert echo.active == 0
        assert echo.begun == 1


@pytest.mark.parametrize("is_remote", [False, True])
async def test_a_stream_left_before_its_producer_began_never_begins_it(is_remote):
    echo = Echo()
    # On a framed link the request and the abort arrive in one piece.
    async with running(echo) as dispatcher, linked(dispatcher, framed=True) as link:
        client = link.client if is_remote else dispatcher.client(ALICE)
        async with client.stream(Silence()):
            pass
        await wait_all_tasks_blocked()

        assert echo.begun == 0
        assert not link.far.inbound


@pytest.mark.parametrize("is_remote", [False, True])
async def test_a_full_window_left_unread_does_not_keep_the_producer(is_remote):
    echo = Echo()
    async with running(echo) as dispatcher, linked(dispatcher) as link:
        client = link.client if is_remote else dispatcher.client(Identity("a", {"echo:count"}))
        async with client.stream(Count(1000), window=4):
            await wait_all_tasks_blocked()
            assert echo.active == 1
        await wait_all_tasks_blocked()

        assert echo.active == 0
