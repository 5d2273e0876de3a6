"""The world of the demo: a head and a worker, each a process, and their operator, who is us."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, Final, Self

import msgspec
import trio

from alknet import Client, connect
from alknet.cli.failure import Failure
from alknet.cli.identity import KEY_FILE, read_key
from alknet.cli.init import new_stack
from alknet.errors import from_wire
from alknet.keys import Ed25519Key, Keyring, generate_mnemonic, ssh_public_line
from alknet.runtime.background import open_background

WORKER: Final = "worker-1"
_SCOPES: Final = (
    "auth:verify",
    "secrets:decrypt",
    "secrets:derive",
    "secrets:encrypt",
    "services:register",
    "task:work",
)
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 8.0


class Process:
    """A process of ours that speaks JSON, a line at a time; its log is a file."""

    def __init__(self, process: trio.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._unread = b""

    @classmethod
    @asynccontextmanager
    async def start(cls, log: Path, *arguments: str, **options: Any) -> AsyncIterator[Self]:
        """Run this Python with *arguments*; end it, gently first, when the block is left."""
        with log.open("wb") as stderr:
            process = await trio.lowlevel.open_process(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                # A Ctrl-C is for us; we end the others in good order.
                start_new_session=True,
                **options,
            )
        this = cls(process, log)
        try:
            yield this
        finally:
            with trio.CancelScope(shield=True):
                await this.stop()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    async def read(self) -> Any:
        """Return the value of the next line that it says.

        Raises:
            Failure: it has ended; the message is what it said last.
        """
        stdout = self._process.stdout
        assert stdout is not None
        while b"\n" not in self._unread:
            data = await stdout.receive_some()
            if not data:
                raise Failure(f"{self._log.stem} ended: {self._last_words()}")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return msgspec.json.decode(line)

    async def write(self, value: Any) -> None:
        """Say *value* to it."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(msgspec.json.encode(value) + b"\n")

    def kill(self) -> None:
        """End it as `kill -9` does, without a word."""
        self._process.kill()

    async def stop(self) -> int:
        """Ask it to end, make it if it does not, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        with trio.move_on_after(_STOP_SECONDS):
            return await self._process.wait()
        self._process.kill()
        return await self._process.wait()

    def _last_words(self) -> str:
        text = self._log.read_text(encoding="utf-8", errors="replace").strip()
        return text.rpartition("\n")[2] or "it said nothing"


class World:
    """What a step can use.

    `keyring` holds the same phrase as the head's vault, so that its answers can be checked here.
    `operator` calls from this process; `invoke` has the worker call from its own.
    """

    def __init__(self, directory: Path, nursery: trio.Nursery) -> None:
        self.directory = directory
        self.phrase = generate_mnemonic(24)
        self.keyring = Keyring.from_mnemonic(self.phrase)
        self.operator_key: Ed25519Key
        self.ready: dict[str, Any]
        self.head: Process
        self.worker: Process
        self.operator: Client
        self._nursery = nursery

    @property
    def url(self) -> str:
        """Where the head answers."""
        url: str = self.ready["ready"]
        return url

    async def start_head(self) -> None:
        """Write a stack.toml and run `alknet serve`, which gets the phrase through a pipe."""
        worker_key = Ed25519Key.generate()
        files = new_stack(self.phrase, name="demo-head", listen="ws://127.0.0.1:0")
        files["stack.toml"] += _peer(worker_key)
        files["worker.key"] = worker_key.to_openssh(WORKER)
        for name, text in files.items():
            (self.directory / name).write_text(text, encoding="utf-8")
            (self.directory / name).chmod(0o600)
        self.operator_key = read_key(self.directory / KEY_FILE)
        await self._nursery.start(self._keep_head)

    async def _keep_head(self, *, task_status: trio.TaskStatus[None]) -> None:
        with _phrase_pipe(self.phrase) as pipe:
            head = Process.start(
                self.directory / "head.log",
                *("-m", "alknet", "serve", "--json"),
                *("--config", str(self.directory / "stack.toml")),
                *("--phrase-fd", str(pipe.fileno())),
                pass_fds=[pipe.fileno()],
            )
            async with head as self.head:
                self.ready = await self.head.read()
                async with connect(
                    self.url, identity=self.operator_key, expect=self.ready["identity"]
                ) as self.operator:
                    task_status.started()
                    await trio.sleep_forever()

    async def start_worker(self) -> int:
        """Run the worker; return the number of its process once it has connected."""
        pid: int = await self._nursery.start(self._keep_worker)
        return pid

    async def _keep_worker(self, *, task_status: trio.TaskStatus[int]) -> None:
        async with Process.start(
            self.directory / "worker.log",
            *("-m", "alknet.cli.demo.worker", self.url),
            *(str(self.directory / "worker.key"), self.ready["identity"]),
        ) as self.worker:
            answer = await self.worker.read()
            task_status.started(answer["output"])
            await trio.sleep_forever()

    async def invoke(self, path: str, /, **input: Any) -> Any:
        """Have the worker call *path*; return the output that it got.

        Raises:
            CallError: what it got instead.
        """
        await self.worker.write({"path": path, "input": input})
        outcome = await self.worker.read()
        if "code" in outcome:
            raise from_wire(outcome["code"], outcome["message"])
        return outcome["output"]


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Yield an empty world; end its processes and remove its files when the block is left."""
    with tempfile.TemporaryDirectory(prefix="alknet-demo-") as name:
        async with open_background() as nursery:
            world = World(Path(name), nursery)
            yield world
        world.keyring.lock()


def _phrase_pipe(phrase: str) -> IO[bytes]:
    """Return the reading end of a pipe that holds *phrase*; it is far smaller than the pipe."""
    reading, writing = os.pipe()
    with open(writing, "wb") as end:
        end.write(phrase.encode())
    return open(reading, "rb")


def _peer(key: Ed25519Key) -> str:
    public = ssh_public_line(key.public_key, WORKER)
    return (
        f"\n[[auth.peers]]\nname = {_toml(WORKER)}\n"
        f"keys = {_toml([public])}\nscopes = {_toml(_SCOPES)}\n"
    )


def _toml(value: Any) -> str:
    # Strings and arrays of strings are written in TOML as in JSON.
    return msgspec.json.encode(value).decode()
