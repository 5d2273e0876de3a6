"""A connection to a machine that is off for a while: found when it is back, not seconds later."""

import socket
from contextlib import ExitStack

import pytest
import trio

from alknet.transport.opening import open_stream

RECOVERY_SECONDS = 2.0


def deaf():
    """Return a listener that answers nobody: who knocks there is lost, as where a machine is off."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    listener.setblocking(False)
    return listener


def knocking(address):
    knock = socket.socket()
    knock.setblocking(False)
    knock.connect_ex(address)
    return knock


async def test_a_machine_that_is_back_is_found_within_two_seconds():
    with ExitStack() as sockets, trio.fail_after(20):
        listener = sockets.enter_context(deaf())
        # Those who wait to be taken fill its queue.
        for _ in range(3):
            sockets.enter_context(knocking(listener.getsockname()))
        async with trio.open_nursery() as nursery:
            back = None

            async def come_back():
                nonlocal back
                # By itself the kernel has just knocked, whichever it is, and waits four seconds now.
                await trio.sleep(7.3)
                back = trio.current_time()
                while True:
                    await trio.lowlevel.wait_readable(listener)
                    sockets.enter_context(listener.accept()[0])

            nursery.start_soon(come_back)
            stream = await open_stream(*listener.getsockname())
            assert back is not None, "nobody was to be found before"
            assert trio.current_time() - back < RECOVERY_SECONDS
            await stream.aclose()
            nursery.cancel_scope.cancel()


async def test_where_nobody_listens_it_is_refused_at_once():
    with deaf() as listener:
        address = listener.getsockname()
    with trio.fail_after(0.9), pytest.raises(OSError, match=r"refused|connect"):
        await open_stream(*address)


async def test_one_connection_is_opened_where_somebody_listens():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        stream = await open_stream(*listener.getsockname())
        listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()
        await stream.aclose()


async def test_it_can_be_given_up():
    with ExitStack() as sockets:
        listener = sockets.enter_context(deaf())
        for _ in range(3):
            sockets.enter_context(knocking(listener.getsockname()))
        with trio.move_on_after(1.5) as scope:
            await open_stream(*listener.getsockname())
        assert scope.cancelled_caught
