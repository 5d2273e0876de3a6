"""An auth node in a process of its own, to be killed: `python -m tests.faults.auth_node URL`."""

import sys

import trio

from alknet import open_node
from alknet.keys import Keyring

from ..people import AUTHORITY_SEED, auth_node_settings


async def main(url):
    keyring = Keyring.from_mnemonic(*AUTHORITY_SEED)
    async with open_node(auth_node_settings(url), keyring=keyring) as node:
        print(node.url, flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
