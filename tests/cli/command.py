"""Runs `alknet` as a process: its exit code, what it said, and to whom."""

import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
import trio

# An unclosed file or a deprecated call of ours would show on stderr, which the tests look at.
ALKNET = [sys.executable, "-W", "error", "-m", "alknet"]
SECONDS = 30


class Outcome(NamedTuple):
    """How a command has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self):
        return msgspec.json.decode(self.stdout)


def environment(**changes):
    """Return the environment of a command: ours, without what would make it depend on us."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ALKNET")}
    return {**clean, "NO_COLOR": "1", **changes}


async def alknet(*arguments, stdin=b"", cwd=None, env=None, **options):
    """Run `alknet` with *arguments* to its end."""
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            [*ALKNET, *map(str, arguments)],
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=cwd,
            env=env or environment(),
            **options,
        )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


async def shell(line, *arguments):
    """Run *line* in a shell, where "$@" is `alknet` with *arguments*."""
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            ["sh", "-c", line, "sh", *ALKNET, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment(),
        )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """A command that runs, and whose stdout is read a line at a time."""

    def __init__(self, process):
        self.process = process
        self._unread = b""
        self._logged = b""

    async def line(self):
        """Return the next line of stdout, "" at its end."""
        with trio.fail_after(SECONDS):
            while b"\n" not in self._unread:
                data = await self.process.stdout.receive_some()
                if not data:
                    return self._unread.decode()
                self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    async def logs(self, event):
        """Return when *event* has been logged."""
        with trio.fail_after(SECONDS):
            while f'"event": "{event}"'.encode() not in self._logged:
                data = await self.process.stderr.receive_some()
                assert data, f"it ended without a log of {event!r}"
                self._logged += data

    async def end(self, number=None):
        """Send a signal, if one is given, and return how the command ends."""
        if number is not None:
            self.process.send_signal(number)
        with trio.fail_after(SECONDS):
            stdout = b"".join([chunk async for chunk in self.process.stdout])
            stderr = b"".join([chunk async for chunk in self.process.stderr])
            code = await self.process.wait()
        return Outcome(code, (self._unread + stdout).decode(), (self._logged + stderr).decode())


@asynccontextmanager
async def running(*arguments, cwd=None, env=None, **options):
    """Run `alknet` with *arguments* while the block runs; kill it at the end if it still does."""
    process = await trio.lowlevel.open_process(
        [*ALKNET, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=env or environment(),
        **options,
    )
    try:
        yield Running(process)
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                await process.wait()
            await process.stdout.aclose()
            await process.stderr.aclose()
