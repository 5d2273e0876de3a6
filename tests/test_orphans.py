"""The check that no task is left behind finds one that is."""

import pytest
import trio

from . import orphans


async def leave_behind():
    trio.lowlevel.spawn_system_task(trio.sleep_forever, name="a thief in the night")


def test_a_task_that_nobody_waits_for_is_named():
    with pytest.raises(AssertionError, match="tasks that nobody waits for") as caught:
        orphans.run(leave_behind)
    assert "a thief in the night" in str(caught.value)


async def wait():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 0)
    return await trio.to_thread.run_sync(lambda: 7)


def test_tasks_that_have_ended_are_no_orphans():
    assert orphans.run(wait) == 7


@pytest.mark.xfail(strict=True, raises=AssertionError)
async def test_every_test_is_asked():
    await leave_behind()
