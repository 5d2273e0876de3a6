"""A worker in a process of its own, to be killed: `python -m tests.faults.worker URL`."""

import sys

import trio

from alknet import connect
from alknet.errors import Disconnected

from ..echo import Echo
from ..people import WORKER_KEY


async def main(url):
    async with connect(url, identity=WORKER_KEY, services=[Echo()]) as client:
        print("ready", flush=True)
        await client.session.closed()
        print("the head is gone", flush=True)


if __name__ == "__main__":
    try:
        trio.run(main, sys.argv[1])
    except* Disconnected:
        sys.exit(3)
