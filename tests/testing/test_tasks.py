"""no_orphans: it finds what outlives the block, names it, and lets everything else be."""

import pytest
import trio

from alknet.testing import no_orphans


async def dawdle():
    await trio.sleep_forever()


async def test_a_task_that_outlives_the_block_is_named_with_the_line_it_waits_at(nursery):
    with pytest.raises(AssertionError, match=r"1 tasks outlive(?s:.)*dawdle waits at test_tasks"):
        async with no_orphans(grace=0.05):
            nursery.start_soon(dawdle)


async def test_a_task_is_found_on_a_clock_that_stands_still(nursery, mock_clock):
    with pytest.raises(AssertionError, match="dawdle"):
        async with no_orphans(grace=0.05):
            nursery.start_soon(dawdle)


async def test_a_task_is_found_while_others_are_busy(nursery):
    async def busy():
        while True:
            await trio.lowlevel.checkpoint()

    nursery.start_soon(busy)
    with pytest.raises(AssertionError, match="dawdle"):
        async with no_orphans(grace=0.05):
            nursery.start_soon(dawdle)


async def test_what_is_on_its_way_to_its_end_may_get_there(nursery, autojump_clock):
    async with no_orphans(grace=1):
        nursery.start_soon(trio.sleep, 0.5)


async def test_tasks_from_before_the_block_are_no_business_of_it(nursery):
    nursery.start_soon(dawdle)
    async with no_orphans() as tasks:
        async with trio.open_nursery() as inner:
            inner.start_soon(trio.lowlevel.checkpoint)
    assert tasks.begun == 1


async def test_an_error_of_the_block_is_not_hidden(nursery):
    with pytest.raises(KeyError):
        async with no_orphans(grace=0.05):
            nursery.start_soon(dawdle)
            raise KeyError
