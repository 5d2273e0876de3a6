"""A real recursive resolver on loopback: unbound, which asks the node for its zone."""

import subprocess
from contextlib import asynccontextmanager

import trio

from benches.unbound import READY, command, free_port


class Resolver:
    """An unbound at *port*, which can be killed and started again."""

    def __init__(self, directory, **options):
        self.port = free_port()
        self._command = command(directory, port=self.port, **options)
        self._process = None

    async def start(self):
        """Return when it answers."""
        self._process = await trio.lowlevel.open_process(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        said = b""
        with trio.fail_after(20):
            while READY not in said:
                data = await self._process.stderr.receive_some()
                assert data, f"unbound did not start: {said.decode()}"
                said += data

    async def kill(self):
        """Return when it is gone."""
        if self._process is not None:
            with trio.CancelScope(shield=True):
                self._process.kill()
                await self._process.wait()
                await self._process.stderr.aclose()
            self._process = None


@asynccontextmanager
async def resolver(directory, **options):
    """Run a resolver, started."""
    it = Resolver(directory, **options)
    try:
        await it.start()
        yield it
    finally:
        await it.kill()
