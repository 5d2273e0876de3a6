"""A worker that asks its head for what it answers: `python -m tests.faults.clerk URL KEY`."""

import sys

import trio

from alknet import Request, Service, connect, handler, logs, operation
from alknet.protocol.secret import DeriveEd25519

from ..people import WORKER_KEY


@operation("clerk/key", scopes=("clerk:ask",), idempotent=True)
class ClerkKey(Request[bytes], frozen=True):
    """Return the public key at `path`, as the worker's head has it."""

    path: str


class Clerk(Service, namespace="clerk"):
    def __init__(self):
        self.head = None
        # It can be asked before `connect` has told us whom we may ask.
        self.has_head = trio.Event()

    @handler(concurrent=True)
    async def key(self, request: ClerkKey) -> bytes:
        await self.has_head.wait()
        return (await self.head.call(DeriveEd25519(request.path), timeout=2)).public_key


async def main(url, expect):
    clerk = Clerk()
    async with connect(
        url, identity=WORKER_KEY, expect=expect, services=[clerk], reconnect=True
    ) as clerk.head:
        clerk.has_head.set()
        print("ready", flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    # What it prints is for the test to read.
    logs.configure(level="critical")
    trio.run(main, *sys.argv[1:])
