"""A head in a process of its own, to be killed: `python -m tests.faults.head`."""

import trio

from alknet import open_node

from ..people import node_settings


async def main():
    async with open_node(node_settings()) as node:
        print(node.url, flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
