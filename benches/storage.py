"""Adding nodes to a graph, each with its schema check, its event and its own acknowledgement."""

import sqlite3
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import trio

from alknet import Settings, open_node
from alknet.call.client import Client
from alknet.protocol.storage import (
    AddNode,
    CreateGraph,
    DefineType,
    GraphType,
    ListNodes,
    NodeType,
)
from alknet.services.storage.base import StorageSettings
from benches.harness import Measured, Pace, measured_row

WRITERS = 64
NODES = 6_400
QUICK_NODES = 640
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
ATTRIBUTES = {"name": "somebody", "age": 42}


async def _ours(client: Client, graph: str, nodes: int) -> float:
    await client.call(CreateGraph(graph, "social"))

    async def writer(number: int) -> None:
        for index in range(nodes // WRITERS):
            node = await client.call(
                AddNode(graph, "person", ATTRIBUTES, key=f"{number:04}{index:028}")
            )
            if node.version != 1:
                raise AssertionError("a node was acknowledged that was not added")

    started = perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(WRITERS):
            nursery.start_soon(writer, number)
    spent = perf_counter() - started
    page = await client.call(ListNodes(graph, after=f"{WRITERS - 1:04}", limit=1000))
    if len(page.nodes) != nodes // WRITERS:
        raise AssertionError("nodes are missing")
    return spent / nodes * 1e6


def _peer(path: Path, nodes: int) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("create table node(key text primary key, attributes text) without rowid")
    text = '{"name":"somebody","age":42}'
    started = perf_counter()
    for index in range(nodes):
        connection.execute("insert into node values (?, ?)", (f"{index:032}", text))
    spent = perf_counter() - started
    connection.close()
    return spent / nodes * 1e6


@measured_row("graph_add_node", peer="sqlite3 INSERT, autocommit", goal=0.2)
def graph_add_node(pace: Pace) -> Measured:
    nodes = NODES if pace.rounds > 3 else QUICK_NODES

    async def main(folder: Path) -> Measured:
        table = StorageSettings(path=str(folder / "ours.db"))
        async with open_node(Settings(services={"storage": table})) as node:
            client: Client = node.client
            await client.call(DefineType(GraphType("social", (NodeType("person", SCHEMA),))))
            ours, peer = [], []
            for index in range(pace.rounds):
                ours.append(await _ours(client, f"graph {index}", nodes))
                peer.append(_peer(folder / f"peer-{index}.db", nodes))
            return Measured(median(ours), median(peer))

    with tempfile.TemporaryDirectory() as folder:
        return trio.run(main, Path(folder))
