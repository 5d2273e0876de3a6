"""Wakeup: one task waits, anybody wakes it."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet.call.wakeup import Wakeup


async def test_the_waiting_task_is_woken(nursery):
    wakeup, woken = Wakeup(), []

    async def wait():
        await wakeup.wait()
        woken.append(True)

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    assert not woken
    wakeup.set()
    await wait_all_tasks_blocked()

    assert woken


async def test_signals_while_nobody_waits_count_as_one(autojump_clock):
    wakeup = Wakeup()
    wakeup.set()
    wakeup.set()

    await wakeup.wait()

    with pytest.raises(trio.TooSlowError), trio.fail_after(1):
        await wakeup.wait()


async def test_a_wait_that_was_cancelled_leaves_the_signal_for_the_next(autojump_clock):
    wakeup = Wakeup()
    with trio.move_on_after(1):
        await wakeup.wait()
    wakeup.set()

    with trio.CancelScope() as scope:
        scope.cancel()
        await wakeup.wait()
    assert scope.cancelled_caught

    with trio.fail_after(1):
        await wakeup.wait()


async def test_a_second_waiting_task_is_a_mistake(nursery):
    wakeup = Wakeup()
    nursery.start_soon(wakeup.wait)
    await wait_all_tasks_blocked()

    with pytest.raises(RuntimeError, match="another task is waiting"):
        await wakeup.wait()
    wakeup.set()
