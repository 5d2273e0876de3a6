"""A worker that does tasks, to be killed: `python -m tests.faults.drudge URL NAME holds|does`.

It prints a line for each task that it begins: its input, and which attempt of the process it is.
"""

import sys

import trio

from alknet import connect, logs
from alknet.worker import work

from ..people import STRANGER_KEY, WORKER_KEY

KEYS = {"worker-1": WORKER_KEY, "worker-2": STRANGER_KEY}


async def main(url, name, what):
    async def note(input):
        print(input, flush=True)
        if what == "holds":
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        return f"{input} by {name}"

    async with connect(url, identity=KEYS[name], reconnect=True) as client:
        print("ready", flush=True)
        await work(client, {"note": note}, slots=4)


if __name__ == "__main__":
    # What it prints is for the test to read.
    logs.configure(level="critical")
    trio.run(main, *sys.argv[1:])
