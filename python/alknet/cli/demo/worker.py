"""The worker's process: offers its greeter, does tasks, and calls what it is told to.

Each line of its stdin is `{"path", "input"}`, each line of its stdout the outcome: `{"output"}` or
`{"code", "message"}`. So what the worker asks stands in `steps.py`, beside what is expected of it,
and is asked from here all the same: by this process, with its key, over its link.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import trio

from alknet import CallError, Client, connect, logs
from alknet.cli import failure
from alknet.cli.demo.greeter import Greeter
from alknet.cli.identity import read_key
from alknet.worker import Pulse, work


async def obey(url: str, key: Path, expect: str) -> None:
    """Connect to the head at *url*, which must be *expect*, and obey until stdin ends."""
    offered = [Greeter(), Pulse()]
    async with (
        connect(url, identity=read_key(key), expect=expect, services=offered) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(work, client, {"shout": _shout})
        _say({"output": os.getpid()})
        async for line in _lines():
            _say(await _obey(client, msgspec.json.decode(line)))
        nursery.cancel_scope.cancel()


async def _shout(text: str) -> str:
    await trio.lowlevel.checkpoint()
    return text.upper()


async def _obey(client: Client, order: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"output": await client.invoke(order["path"], order["input"])}
    except CallError as error:
        return {"code": error.code, "message": error.message}


async def _lines() -> AsyncIterator[bytes]:
    rest = b""
    async with trio.lowlevel.FdStream(0) as stdin:
        async for data in stdin:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line


def _say(outcome: dict[str, Any]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Run the worker that the command line describes; its caller ends it by closing stdin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(level="info")
    url, key, expect = sys.argv[1:]
    try:
        trio.run(obey, url, Path(key), expect)
    except Exception as error:
        sys.exit(failure.report(error))


if __name__ == "__main__":
    main()
