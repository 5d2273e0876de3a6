"""Background tasks: they serve a block, and end after it."""

import pytest
import trio

from alknet.runtime.background import open_background


@pytest.mark.parametrize("way", ["leave", "raise", "cancel"])
async def test_what_runs_outlives_the_block_and_its_clean_up_and_no_more(way, autojump_clock):
    story = []

    async def serve():
        try:
            await trio.sleep_forever()
        finally:
            story.append("served")

    async def use():
        async with open_background() as nursery:
            nursery.start_soon(serve)
            try:
                await trio.sleep(1)
                if way == "raise":
                    raise KeyError("mine")
                if way == "cancel":
                    await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                story.append("cleaned up")

    if way == "raise":
        with pytest.raises(KeyError, match="mine"):
            await use()
    else:
        with trio.move_on_after(5):
            await use()

    assert story == ["cleaned up", "served"]


async def test_an_error_in_the_background_cancels_the_block_and_comes_out():
    async def fail():
        raise OSError("there is no disk")

    with pytest.raises(ExceptionGroup) as caught:
        async with open_background() as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()

    assert caught.group_contains(OSError, match="there is no disk")


async def test_who_is_cancelled_already_is_let_go():
    with trio.fail_after(5), trio.CancelScope() as scope:
        scope.cancel()
        async with open_background():
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_who_is_cancelled_while_it_opens_is_let_go():
    async def open_it():
        async with open_background():
            await trio.sleep_forever()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(open_it)
            # In the moment between the two tasks that it takes.
            await trio.lowlevel.cancel_shielded_checkpoint()
            nursery.cancel_scope.cancel()
