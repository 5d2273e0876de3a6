"""A head that keeps tasks, to be killed: `python -m tests.faults.task_head DATABASE URL LEASE`."""

import sys

import trio

from alknet import NodeSettings, Settings, open_node
from alknet.services.auth.keyset import AuthSettings
from alknet.services.storage.base import StorageSettings
from alknet.services.task import TaskSettings

from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, peer


def settings(path, url, lease):
    return Settings(
        node=NodeSettings(listen=(url,), drain=0.5),
        services={
            "auth": AuthSettings(
                peers=(
                    peer("alice", ALICE_KEY, "task:create", "task:read"),
                    peer("worker-1", WORKER_KEY, "task:work"),
                    peer("worker-2", STRANGER_KEY, "task:work"),
                )
            ),
            "storage": StorageSettings(path=str(path)),
            "task": TaskSettings(lease=lease, attempts=100),
        },
    )


async def main(path, url, lease):
    async with open_node(settings(path, url, float(lease))) as node:
        print(node.url, flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
