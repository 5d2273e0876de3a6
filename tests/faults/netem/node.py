"""A node that counts what it is told, in a namespace: `python -m tests.faults.netem.node URL...`.

It prints where it listens, and to each line of input all that it was told, in order.
"""

import json
import sys
from collections.abc import AsyncIterator

import trio

from alknet import Request, Service, Subscription, handler, logs, open_node, operation
from alknet.keys import Keyring
from alknet.wire.limits import Limits

from ...people import ALICE_KEY, PHRASE, node_settings, peer

# A link of which nothing was heard for so long is given up, at both ends.
SILENCE = Limits(silence_seconds=10)


@operation("tally/put", kind="mutation")
class Put(Request[int], frozen=True):
    """Note `number` of `lane` and return how many have been noted."""

    lane: str
    number: int


@operation("tally/count")
class Count(Subscription[int], frozen=True):
    """Yield the numbers from 0, some twenty a second."""


class Tally(Service, namespace="tally"):
    def __init__(self):
        self.noted = []

    @handler
    def put(self, request: Put) -> int:
        self.noted.append((request.lane, request.number))
        return len(self.noted)

    @handler(concurrent=True)
    async def count(self, _: Count) -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1
            await trio.sleep(0.05)


async def main(urls):
    tally = Tally()
    settings = node_settings(peer("alice", ALICE_KEY, "*"), listen=tuple(urls), limits=SILENCE)
    keyring = Keyring.from_mnemonic(PHRASE)
    async with open_node(settings, keyring=keyring, services=[tally]) as node:
        print(json.dumps(node.urls), flush=True)
        while await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            print(json.dumps(tally.noted), flush=True)


if __name__ == "__main__":
    # What it prints is for the test to read.
    logs.configure(level="critical")
    trio.run(main, sys.argv[1:])
