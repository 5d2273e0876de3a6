"""OneShot: one outcome for one task, and the first to settle it decides."""

import gc
import weakref
from contextlib import suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from alknet.call.oneshot import OneShot

from .. import orphans


async def settle_later(shot, settle):
    await wait_all_tasks_blocked()
    settle(shot)


@pytest.mark.parametrize("is_early", [True, False])
async def test_the_value_comes_out_whether_it_was_there_first_or_not(nursery, is_early):
    shot = OneShot()
    if is_early:
        shot.respond("answer")
    else:
        nursery.start_soon(settle_later, shot, lambda shot: shot.respond("answer"))

    assert await shot.wait() == "answer"


@pytest.mark.parametrize("is_early", [True, False])
async def test_the_error_comes_out_whether_it_was_there_first_or_not(nursery, is_early):
    shot = OneShot()
    if is_early:
        shot.fail(KeyError("k"))
    else:
        nursery.start_soon(settle_later, shot, lambda shot: shot.fail(KeyError("k")))

    with pytest.raises(KeyError):
        await shot.wait()


@given(st.lists(st.sampled_from(["respond", "fail", "abandon"]), min_size=1, max_size=4))
def test_only_the_first_settles(settlings):
    async def main():
        shot = OneShot()
        for number, settling in enumerate(settlings):
            if settling == "respond":
                shot.respond(number)
            elif settling == "fail":
                shot.fail(ValueError(number))
            else:
                shot.abandon()
        if settlings[0] == "abandon":
            return
        if settlings[0] == "respond":
            assert await shot.wait() == 0
        else:
            with pytest.raises(ValueError, match=r"^0$"):
                await shot.wait()

    orphans.run(main)


async def test_a_cancelled_wait_abandons_once_and_what_comes_later_goes_nowhere(autojump_clock):
    class Counted(OneShot):
        abandoned = 0

        def abandon(self):
            super().abandon()
            self.abandoned += 1

    shot = Counted()
    with trio.move_on_after(1):
        await shot.wait()
    shot.respond("late")
    shot.fail(KeyError("later"))

    assert shot.abandoned == 1
    assert shot.is_over


async def test_an_error_is_not_kept_alive_by_its_own_traceback():
    class Mark(Exception):
        pass

    def failed():
        shot = OneShot()
        shot.fail(Mark())
        return shot, weakref.ref(shot._error)

    gc.disable()
    try:
        shot, mark = failed()
        with suppress(Mark):
            await shot.wait()
        assert mark() is None
    finally:
        gc.enable()
