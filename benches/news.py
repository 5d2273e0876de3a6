"""How soon a subscriber on another link hears of a commit: half of the time, and at worst.

Ours is from the beginning of the transaction, its commit included, to the item in the hands of a
client over a WebSocket. The peer is how a reader of the same file in another process hears of it,
who asks `pragma data_version` every millisecond, as honker's own watcher does.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from statistics import median

import trio

from alknet import NodeSettings, Settings, connect, open_node
from alknet.keys import Ed25519Key, Keyring, generate_mnemonic, ssh_public_line
from alknet.protocol.storage import (
    AddNode,
    CreateGraph,
    DefineType,
    GraphType,
    NodeType,
    Watch,
)
from alknet.services.auth.keyset import AuthSettings, Peer
from alknet.services.storage.base import StorageSettings
from benches.harness import Measured, Pace, measured_row

PEER = "another process that polls each ms"
EVENTS = 1000
QUICK_EVENTS = 50
PAUSE = 0.003

POLLER = """
import json, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
seen, last, latencies = None, 0, []
print("ready", flush=True)
while len(latencies) < int(sys.argv[2]):
    version = connection.execute("pragma data_version").fetchone()[0]
    if version != seen:
        seen = version
        for id, at in connection.execute("select id, at from event where id > ?", (last,)):
            latencies.append(time.time() - at)
            last = id
    time.sleep(0.001)
print(json.dumps(latencies))
"""

WRITER = """
import json, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for number in range(int(sys.argv[2])):
    event = json.dumps(["created", "g", str(number), "n", 1, time.time()])
    insert = "insert into _honker_stream (topic, key, payload) values ('nodes', ?, ?)"
    connection.execute(insert, (str(number), event))
    time.sleep(0.02)
"""


async def _ours(folder: Path, events: int) -> list[float]:
    key = Ed25519Key.generate()
    peer = Peer("watcher", (ssh_public_line(key.public_key),), frozenset({"storage:read"}))
    settings = Settings(
        node=NodeSettings(listen=("ws://127.0.0.1:0",)),
        services={
            "auth": AuthSettings(peers=(peer,)),
            "storage": StorageSettings(path=str(folder / "ours.db")),
        },
    )
    latencies: list[float] = []
    async with (
        open_node(settings, keyring=Keyring.from_mnemonic(generate_mnemonic())) as node,
        connect(node.url, identity=key) as watcher,
        watcher.stream(Watch("nodes", after=0)) as news,
        trio.open_nursery() as nursery,
    ):

        async def write() -> None:
            await node.client.call(DefineType(GraphType("t", (NodeType("n"),))))
            await node.client.call(CreateGraph("g", "t"))
            for _ in range(events):
                await node.client.call(AddNode("g", "n"))
                await trio.sleep(PAUSE)

        nursery.start_soon(write)
        async for event in news:
            latencies.append(time.time() - event.at)
            if len(latencies) == events:
                break
    return latencies


async def _from_another(path: Path, events: int) -> list[float]:
    settings = Settings(services={"storage": StorageSettings(path=str(path))})
    latencies: list[float] = []
    async with (
        open_node(settings) as node,
        node.client.stream(Watch("nodes", after=0)) as news,
        trio.open_nursery() as nursery,
    ):
        command = [sys.executable, "-c", WRITER, str(path), str(events)]
        nursery.start_soon(trio.run_process, command)
        async for event in news:
            latencies.append(time.time() - event.at)
            if len(latencies) == events:
                break
    return latencies


def _peer(path: Path, events: int) -> list[float]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("create table event(id integer primary key, at real)")
    command = [sys.executable, "-c", POLLER, str(path), str(events)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise AssertionError("the poller did not start")
        for _ in range(events):
            connection.execute("insert into event(at) values (?)", (time.time(),))
            time.sleep(PAUSE)
        latencies: list[float] = json.loads(process.stdout.readline())
    connection.close()
    return latencies


@cache
def _latencies(pace: Pace) -> tuple[list[float], list[float]]:
    """Measure once for both rows; each sorted."""
    events = EVENTS if pace.rounds > 3 else QUICK_EVENTS
    with tempfile.TemporaryDirectory() as folder:
        ours = trio.run(_ours, Path(folder), events)
        peer = _peer(Path(folder) / "peer.db", events)
    return sorted(ours), sorted(peer)


def _at(share: float, pace: Pace) -> Measured:
    ours, peer = (side[int(len(side) * share)] * 1e6 for side in _latencies(pace))
    return Measured(ours, peer)


@measured_row("watch_p50", peer=PEER, goal=1)
def watch_p50(pace: Pace) -> Measured:
    return _at(0.5, pace)


# The worst of a hundred is what else the machine does.
@measured_row("watch_p99", peer=PEER, goal=0.5)
def watch_p99(pace: Pace) -> Measured:
    return _at(0.99, pace)


# Looking for others costs them a part of their own pace, which on a busy machine is most of it.
@measured_row("watch_other_process", peer=PEER, goal=0.3)
def watch_other_process(pace: Pace) -> Measured:
    """Hear of what another process has written into our file, half of the time."""
    events = EVENTS if pace.rounds > 3 else QUICK_EVENTS
    with tempfile.TemporaryDirectory() as folder:
        ours = sorted(trio.run(_from_another, Path(folder) / "ours.db", events))
    _, peer = _latencies(pace)
    return Measured(median(ours) * 1e6, median(peer) * 1e6)
