"""Stepper: a Trio program that moves only when it is told to, for a test that is no task itself."""

from queue import SimpleQueue
from threading import Thread

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from alknet.testing import advance, no_orphans

SCHEDULER = trio._core._run._r
# At rest is who still waits after this: links that have used much of the thread go on when nothing
# else does, at the same moment as whoever waits for no longer than that.
_SETTLED = 0.001


class Stepper:
    """Runs *program*, an async context manager, in a thread; `here` is what it yields.

    Its clock stands still. Between two steps every task of it waits: what a step has set off has
    come to rest when the step returns. When it is stopped, no task of it may be left.
    """

    def __init__(self, program):
        # Lots that are drawn otherwise the next time would make a failure one that never was.
        SCHEDULER.seed(0)
        self._over = trio.Event()
        self._failure = None
        ready = SimpleQueue()
        self._thread = Thread(target=self._run, args=(program, ready), daemon=True)
        self._thread.start()
        self.here, self._token = ready.get()
        if self._token is None:
            self.stop()

    def step(self, function, *arguments):
        """Return what *function*, async or not, returns, once everything has come to rest."""
        try:
            return trio.from_thread.run(self._step, function, arguments, trio_token=self._token)
        except trio.RunFinishedError:
            self.stop()
            raise AssertionError("the program has ended by itself") from None

    def advance(self, seconds):
        """Let time pass, with all that falls due on the way."""
        self.step(advance, seconds)

    def stop(self):
        """End the program; raise what it fails with."""
        if self._thread.is_alive() and self._token is not None:
            trio.from_thread.run_sync(self._over.set, trio_token=self._token)
        self._thread.join(timeout=20)
        assert not self._thread.is_alive(), "the program does not end"
        if self._failure is not None:
            raise self._failure

    def _run(self, program, ready):
        try:
            trio.run(self._main, program, ready, clock=MockClock())
        except BaseException as failure:
            self._failure = failure
            ready.put((None, None))

    async def _main(self, program, ready):
        async with no_orphans(), program() as here:
            await wait_all_tasks_blocked(_SETTLED)
            ready.put((here, trio.lowlevel.current_trio_token()))
            await self._over.wait()

    async def _step(self, function, arguments):
        result = function(*arguments)
        if hasattr(result, "__await__"):
            result = await result
        await wait_all_tasks_blocked(_SETTLED)
        return result
