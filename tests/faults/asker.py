"""A worker in a process of its own that calls what it is told to: `python -m tests.faults.asker URL`.

Each line of its stdin is a path and an input as JSON, each line of its stdout the answer, or the
code of the error. A stream is read up to its first item.
"""

import json
import sys

import trio

from alknet import CallError, connect, logs
from alknet.errors import InvalidOperationType
from alknet.worker import Pulse

from ..people import WORKER_KEY


async def main(url):
    async with connect(url, identity=WORKER_KEY, services=[Pulse()]) as client:
        print("ready", flush=True)
        for line in sys.stdin:
            path, input = json.loads(line)
            try:
                answer = await ask(client, path, input)
            except CallError as error:
                answer = {"code": error.code}
            print(json.dumps(answer), flush=True)


async def ask(client, path, input):
    try:
        return await client.invoke(path, input)
    except InvalidOperationType:
        async with client.invoke_stream(path, input) as items:
            return await anext(items)


if __name__ == "__main__":
    logs.configure(level="critical")
    trio.run(main, sys.argv[1])
