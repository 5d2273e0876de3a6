"""Somebody at a terminal: a pseudo-terminal that a command is run on."""

import os
import sys
import termios
from contextlib import asynccontextmanager

import trio

from .command import ALKNET, SECONDS, Outcome, environment

# The terminal becomes the controlling one, as a login shell would make it, so that /dev/tty opens.
_SEATED = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Typist:
    """Reads what the terminal shows, and types."""

    def __init__(self, terminal, process):
        self._terminal = terminal
        self._process = process
        self.shown = ""

    @property
    def is_shown(self):
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self._terminal)[3] & termios.ECHO)

    async def sees(self, text):
        """Return what the terminal has shown up to *text*, once it has."""
        with trio.fail_after(SECONDS):
            while text not in self.shown:
                more = await self._read()
                assert more, f"the command ended before it showed {text!r}: {self.shown!r}"
                self.shown += more
        before, _, self.shown = self.shown.partition(text)
        return before + text

    async def types(self, text):
        """Type *text*."""
        os.write(self._terminal, text.encode())

    async def leaves(self):
        """Return how the command ends, and all that was shown until then."""
        with trio.fail_after(SECONDS):
            while more := await self._read():
                self.shown += more
            code = await self._process.wait()
        return Outcome(code, self.shown, "")

    async def _read(self):
        await trio.lowlevel.wait_readable(self._terminal)
        try:
            return os.read(self._terminal, 4096).decode()
        except OSError:  # EIO: the command has closed the other end
            return ""


@asynccontextmanager
async def typist(*arguments, cwd=None, env=None):
    """Run `alknet` with *arguments* on a terminal, and yield whoever sits there."""
    terminal, other_end = os.openpty()
    try:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", _SEATED, *ALKNET, *map(str, arguments)],
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            start_new_session=True,
            cwd=cwd,
            env=env or environment(TERM="dumb"),
        )
        os.close(other_end)
        try:
            yield Typist(terminal, process)
        finally:
            with trio.CancelScope(shield=True):
                if process.poll() is None:
                    process.kill()
                    await process.wait()
    finally:
        os.close(terminal)
