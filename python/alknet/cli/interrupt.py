"""Commands that run until somebody ends them, which is no failure."""

import signal

import trio


async def cancel_when_asked(scope: trio.CancelScope) -> None:
    """Cancel *scope* on Ctrl-C or SIGTERM."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel(reason="interrupted")
