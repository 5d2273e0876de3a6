"""Reading graphs: by key and by the page, and that a million nodes are read as fast as a thousand.

The large graph is built once for its rows; `--quick` builds a small one. That memory stays flat is
checked on the way: a run in which it does not is a fault, not a figure.
"""

import json
import random
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import trio

from alknet import Settings, open_node
from alknet.call.client import Client
from alknet.protocol.storage import (
    AddBatch,
    CreateGraph,
    DefineType,
    GetNode,
    GraphType,
    ListNodes,
    NodeLine,
    NodeType,
)
from alknet.services.storage.base import StorageSettings
from benches.harness import FULL, Measured, Pace, measured_row

SMALL = 1_000
LARGE = 1_000_000
QUICK_LARGE = 20_000
PAGE = 100
TEXT = '{"name":"somebody","age":42}'
# What reading all of the large graph may add to the process: its page caches, and some room.
MOST_GROWTH = 160 * 1024 * 1024

Read = Callable[[Client, str, int], Awaitable[None]]


def key(number: int) -> str:
    return f"{number:032}"


@asynccontextmanager
async def graphs(folder: Path, large: int) -> AsyncIterator[Client]:
    """Yield a client of a node with the graphs `small` and `large`."""
    table = StorageSettings(path=str(folder / "ours.db"))
    async with open_node(Settings(services={"storage": table})) as node:
        client: Client = node.client
        await client.call(DefineType(GraphType("social", (NodeType("person"),))))
        for graph, nodes in (("small", SMALL), ("large", large)):
            await client.call(CreateGraph(graph, "social"))
            for start in range(0, nodes, 1000):
                lines = (
                    NodeLine("person", {"name": "somebody", "age": 42}, key(number))
                    for number in range(start, start + 1000)
                )
                await client.call(AddBatch(graph, tuple(lines)))
        yield client


async def get(client: Client, graph: str, nodes: int) -> None:
    wanted = key(random.randrange(nodes))
    if (await client.call(GetNode(graph, wanted))).key != wanted:
        raise AssertionError("another node than was asked for")


async def page(client: Client, graph: str, nodes: int) -> None:
    after = random.randrange(nodes - PAGE)
    found = (await client.call(ListNodes(graph, after=key(after), limit=PAGE))).nodes
    if found[-1].key != key(after + PAGE):
        raise AssertionError("another page than was asked for")


async def timed(read: Read, client: Client, graph: str, nodes: int, calls: int) -> float:
    started = perf_counter()
    for _ in range(calls):
        await read(client, graph, nodes)
    return (perf_counter() - started) / calls * 1e6


def compared(read: Read, calls: int, items: int, pace: Pace) -> Measured:
    """Measure *read* in the large graph, beside the same in the small one."""
    large = LARGE if pace == FULL else QUICK_LARGE

    async def main(folder: Path) -> Measured:
        async with graphs(folder, large) as client:
            ours, peer = [], []
            resident = 0
            for turn in range(2 * pace.rounds):
                ours.append(await timed(read, client, "large", large, calls))
                peer.append(await timed(read, client, "small", SMALL, calls))
                if turn + 1 == pace.rounds:
                    resident = rss()
            if rss() > resident + MOST_GROWTH:
                raise AssertionError(f"reading on made the process {rss() - resident} B larger")
            return Measured(median(ours) / items, median(peer) / items)

    with tempfile.TemporaryDirectory() as folder:
        return trio.run(main, Path(folder))


def rss() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def beside_sqlite(read: Read, sql: str, calls: int, items: int, pace: Pace) -> Measured:
    """Measure *read* in the small graph, beside *sql* on a table of the same rows."""

    async def main(folder: Path) -> Measured:
        async with graphs(folder, SMALL) as client:
            connection = sqlite3.connect(folder / "peer.db")
            connection.execute("create table node(key text primary key, v text) without rowid")
            rows = [(key(number), TEXT) for number in range(SMALL)]
            connection.executemany("insert into node values (?, ?)", rows)
            connection.commit()
            ours, peer = [], []
            for _ in range(2 * pace.rounds):
                ours.append(await timed(read, client, "small", SMALL, calls))
                started = perf_counter()
                for _ in range(calls):
                    wanted = key(random.randrange(SMALL - PAGE))
                    rows = connection.execute(sql, (wanted,)).fetchall()
                    if len([(name, json.loads(text)) for name, text in rows]) != items:
                        raise AssertionError("the peer found something else")
                peer.append((perf_counter() - started) / calls * 1e6)
            connection.close()
            return Measured(median(ours) / items, median(peer) / items)

    with tempfile.TemporaryDirectory() as folder:
        return trio.run(main, Path(folder))


@measured_row("graph_get_node", peer="sqlite3, json", goal=0.3)
def graph_get_node(pace: Pace) -> Measured:
    return beside_sqlite(get, "select key, v from node where key = ?", 1000, 1, pace)


@measured_row("graph_list_nodes", peer="sqlite3, json", goal=0.4)
def graph_list_nodes(pace: Pace) -> Measured:
    sql = f"select key, v from node where key > ? order by key limit {PAGE}"
    return beside_sqlite(page, sql, 50, PAGE, pace)


# Among so many, most pages come from the system's cache and not from SQLite's: that is the rest.
@measured_row("graph_get_node_1m", peer="ours, among 1000 nodes", goal=0.5)
def graph_get_node_1m(pace: Pace) -> Measured:
    return compared(get, 1000, 1, pace)


@measured_row("graph_list_nodes_1m", peer="ours, among 1000 nodes", goal=0.7)
def graph_list_nodes_1m(pace: Pace) -> Measured:
    return compared(page, 50, PAGE, pace)
