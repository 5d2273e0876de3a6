"""Calls a node by every URL, in a namespace: `python -m tests.faults.netem.caller URL...`.

By each URL go `LANES` lanes, each of which puts numbers one after another and never one again, and a
stream. A line of input is a number, and printed again when as many more have been acknowledged in
each lane. The end of the input asks for all that has happened.
"""

import json
import sys

import trio

from alknet import connect, logs
from alknet.errors import AlknetError
from alknet.keys import Keyring
from alknet.runtime.vault import IDENTITY_PATH

from ...people import ALICE_KEY, PHRASE
from .node import SILENCE, Count, Put

LANES = 3


class Lane:
    def __init__(self, name):
        self.name = name
        self.acknowledged = []
        self.errors = {}
        self.moved = trio.Event()

    async def run(self, caller):
        number = 0
        while not caller.is_over:
            try:
                await caller.client.call(Put(self.name, number), timeout=60)
            except AlknetError as error:
                self.errors[number] = f"{type(error).__name__}: {error}"
            else:
                self.acknowledged.append(number)
                self.moved.set()
                self.moved = trio.Event()
            number += 1
            # All roads share two processors.
            await trio.sleep(0.01)

    async def more(self, count):
        wanted = len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            await self.moved.wait()


class Caller:
    """What is done by one URL. `streams` has what each stream brought, and why it ended."""

    def __init__(self, url):
        self.url = url
        scheme = url.partition(":")[0]
        self.lanes = [Lane(f"{scheme}-{number}") for number in range(LANES)]
        self.streams = []
        self.links = 0
        self.client = None
        self.is_over = False

    async def run(self, *, task_status):
        pin = Keyring.from_mnemonic(PHRASE).ed25519(IDENTITY_PATH).public_key
        async with connect(
            self.url, identity=ALICE_KEY, expect=pin, reconnect=True, limits=SILENCE
        ) as self.client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.listen)
                nursery.start_soon(self.watch)
                async with trio.open_nursery() as lanes:
                    for lane in self.lanes:
                        lanes.start_soon(lane.run, self)
                    task_status.started()
                nursery.cancel_scope.cancel()

    async def listen(self):
        while True:
            heard = []
            self.streams.append([heard, ""])
            try:
                async with self.client.stream(Count(), window=16) as numbers:
                    async for number in numbers:
                        heard.append(number)
            except AlknetError as error:
                self.streams[-1][1] = f"{type(error).__name__}: {error}"

    async def watch(self):
        while True:
            self.links += 1
            session = self.client.session
            await session.closed()
            while self.client.session is session:  # noqa: ASYNC110 - there is no event for it
                await trio.sleep(0.05)

    async def more(self, count):
        async with trio.open_nursery() as nursery:
            for lane in self.lanes:
                nursery.start_soon(lane.more, count)

    def report(self):
        return {
            "lanes": {lane.name: [lane.acknowledged, lane.errors] for lane in self.lanes},
            "streams": self.streams,
            "links": self.links,
        }


async def main(urls):
    callers = {url.partition(":")[0]: Caller(url) for url in urls}
    async with trio.open_nursery() as nursery:
        for caller in callers.values():
            await nursery.start(caller.run)
        print("ready", flush=True)
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            async with trio.open_nursery() as lanes:
                for caller in callers.values():
                    lanes.start_soon(caller.more, int(line))
            print(line, end="", flush=True)
        # What is in flight still gets its answer.
        for caller in callers.values():
            caller.is_over = True
    print(json.dumps({scheme: each.report() for scheme, each in callers.items()}), flush=True)


if __name__ == "__main__":
    # What it prints is for the test to read.
    logs.configure(level="critical")
    trio.run(main, sys.argv[1:])
