"""Processes that tests start, and that never outlive them."""

import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import trio

ROOT = Path(__file__).parents[2]


class Process:
    def __init__(self, process):
        self._process = process
        self._lines = b""

    async def line(self):
        """Return the next line it prints."""
        while b"\n" not in self._lines:
            data = await self._process.stdout.receive_some()
            if not data:
                raise EOFError(f"it ended with {await self._process.wait()}")
            self._lines += data
        line, _, self._lines = self._lines.partition(b"\n")
        return line.decode()

    async def tell(self, line):
        """Write *line* to its input."""
        await self._process.stdin.send_all(f"{line}\n".encode())

    async def kill(self):
        """End it as `kill -9` does."""
        self._process.kill()
        return await self._process.wait()

    async def stop(self):
        """Freeze it: the kernel keeps its connections open, and nobody is at home."""
        self._process.send_signal(19)

    async def wait(self):
        return await self._process.wait()


@asynccontextmanager
async def running(module, *arguments):
    """Run a module of tests.faults in a process of its own."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", f"tests.faults.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield Process(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()
