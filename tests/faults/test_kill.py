"""A node killed while it writes: what it acknowledged is there, and nothing is half there.

The queue that it works on at the same time loses no job and does none twice.

`ALKNET_KILL_RUNS=300` runs it as often as one likes.
"""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

from alknet import open_node
from alknet.protocol.storage import OpenNode, RotateGraph
from alknet.services.storage.base import StorageSettings
from alknet.settings import Settings
from alknet.store.database import open_database

from ..people import PHRASE

RUNS = int(os.environ.get("ALKNET_KILL_RUNS", "5"))

WRITER = """
    import json, os, sys, trio
    from pathlib import Path
    from alknet import open_node
    from alknet.settings import Settings
    from alknet.services.storage.base import StorageSettings
    from alknet.protocol.storage import *
    from alknet.store import queue
    from alknet.store.consumer import Consumer
    from alknet.store.database import open_database

    KIND = GraphType("t", (NodeType("n"),), (EdgeType("e"),))

    def acknowledge(*what):
        # One write of less than PIPE_BUF bytes arrives whole or not at all.
        os.write(1, (json.dumps(what) + "\\n").encode())

    async def write(client, run, writer):
        number = 0
        while True:
            number += 1
            first, second = (f"{run}-{writer}-{number}-{end}" for end in "ab")
            pair = (NodeLine("n", {}, first), NodeLine("n", {}, second),
                    EdgeLine("e", first, second, {}, f"{first}-e"))
            await client.call(AddBatch("g", pair))
            acknowledge("pair", first, second)
            await client.call(UpdateNode("g", first, {"n": number}))
            acknowledge("updated", first, 2)
            if number % 3 == 0:
                await client.call(DeleteNode("g", second, cascade=True))
                acknowledge("deleted", second)

    async def fill(database, run, writer):
        number = 0
        while True:
            number += 1
            name = f"{run}-{writer}-{number}"
            await database.write(lambda c: queue.enqueue(c, "q", name.encode()))
            acknowledge("enqueued", name)

    async def work(job):
        await trio.sleep(0)
        return lambda c: c.execute("insert into done values (?)", (job.payload.decode(),)).get

    async def main(path, run):
        table = StorageSettings(path=path)
        async with (
            open_node(Settings(services={"storage": table})) as node,
            open_database(Path(path + "-queue")) as jobs,
        ):
            await jobs.write(lambda c: c.execute("create table if not exists done(name)").get)
            await node.client.call(DefineType(KIND))
            if not (await node.client.call(ListGraphs())).graphs:
                await node.client.call(CreateGraph("g", "t"))
            acknowledge("ready")
            async with trio.open_nursery() as nursery:
                for writer in range(16):
                    nursery.start_soon(write, node.client, run, writer)
                for writer in range(4):
                    nursery.start_soon(fill, jobs, run, writer)
                nursery.start_soon(Consumer(jobs, "q", work, visibility=1).run)

    trio.run(main, *sys.argv[1:])
"""


ROTATOR = """
    import sys, trio
    from alknet import open_node
    from alknet.keys import Keyring
    from alknet.settings import Settings
    from alknet.services.storage.base import StorageSettings
    from alknet.protocol.storage import *

    async def main(path, phrase, run):
        table = StorageSettings(path=path)
        settings = Settings(services={"storage": table, "secrets": None})
        async with open_node(settings, keyring=Keyring.from_mnemonic(phrase)) as node:
            if run == "0":
                await node.client.call(DefineType(GraphType("t", (NodeType("n", sealed=True),))))
                await node.client.call(CreateGraph("g", "t"))
                for start in range(0, 4000, 1000):
                    lines = [NodeLine("n", {"n": n}, str(n)) for n in range(start, start + 1000)]
                    await node.client.call(AddBatch("g", tuple(lines)))
            async with node.client.stream(RotateGraph("g", 9)) as steps:
                async for step in steps:
                    print(step.done, flush=True)

    trio.run(main, *sys.argv[1:])
"""


def killed(script, path, run, after):
    """Return what a writer acknowledged before it was killed, *after* seconds of writing."""
    command = [sys.executable, str(script), str(path), str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        ready = process.stdout.readline()
        assert ready, process.stderr.read().decode()
        # Read while it writes, for a full pipe would hold it; and kill it whatever it is doing.
        lines = []
        end = time.monotonic() + after
        while time.monotonic() < end:
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


async def test_what_was_acknowledged_outlives_a_kill_and_nothing_is_half_done(tmp_path):
    script = tmp_path / "writer.py"
    script.write_text(textwrap.dedent(WRITER))
    path = tmp_path / "test.db"
    acknowledged = []
    for run in range(RUNS):
        acknowledged += killed(script, path, run, random.uniform(0.0, 0.15))

        async with open_database(path, check="full") as database:
            nodes = dict(database.rows("select key, version from nodes"))
            edges = database.rows("select key, source, target from edges")
            events = database.rows("select topic, payload from _honker_stream order by offset")
            assert database.rows("pragma foreign_key_check") == []

        deleted = {what[1] for what in acknowledged if what[0] == "deleted"}
        for kind, key, *more in acknowledged:
            if kind == "pair":
                assert key in nodes
                # One that was being deleted when the kill came may be gone or not.
                assert more[0] in nodes or more[0] in deleted or _deletable(more[0])
            elif kind == "updated":
                assert nodes[key] == 2
            elif kind == "deleted":
                assert key not in nodes
        # No half of a pair: where both nodes are, their edge is, and the other way round.
        assert {key for key, _, _ in edges} == {
            f"{key}-e" for key in nodes if key.endswith("-a") and key[:-1] + "b" in nodes
        }
        # What the events tell, from the first to the last, is what is there.
        state = {"nodes": {}, "edges": {}}
        for topic, payload in events:
            kind, _, key, _, version, _ = json.loads(payload)
            if topic in state and kind == "deleted":
                del state[topic][key]
            elif topic in state:
                state[topic][key] = version
        assert state["nodes"] == nodes
        assert set(state["edges"]) == {key for key, _, _ in edges}
        done = await check_queue(f"{path}-queue", acknowledged)
    assert acknowledged
    assert done


async def check_queue(path, acknowledged):
    """Find every job that was taken done, to be done or given up, once; return how many are done."""
    async with open_database(Path(path), check="full") as database:
        done = Counter(name for (name,) in database.rows("select name from done"))
        live = Counter(name for (name,) in database.rows("select payload from _honker_live"))
        dead = Counter(name for (name,) in database.rows("select payload from _honker_dead"))
    found = done + live + dead
    assert set(found.values()) <= {1}
    assert {name for kind, name, *_ in acknowledged if kind == "enqueued"} <= set(found)
    return len(done)


def _deletable(key):
    return int(key.split("-")[2]) % 3 == 0


async def test_a_rotation_that_was_killed_goes_on_with_what_it_had_left(tmp_path, keyring):
    script = tmp_path / "rotator.py"
    script.write_text(textwrap.dedent(ROTATOR))
    path = tmp_path / "test.db"
    done = [step for run in range(3) for step in rotated(script, path, run)]
    # What was done before the kill was not done again.
    assert done == sorted(done)
    assert 0 == done[0] < done[4] < done[8] < 4000

    table = StorageSettings(path=str(path))
    settings = Settings(services={"storage": table, "secrets": None})
    async with open_node(settings, keyring=keyring) as node:
        async with node.client.stream(RotateGraph("g")) as steps:
            last = [step async for step in steps][-1]
        assert (last.to_version, last.done, last.total, last.failed) == (9, 4000, 4000, 0)
        for key in ("0", "1234", "3999"):
            assert (await node.client.call(OpenNode("g", key))).attributes == {"n": int(key)}


def rotated(script, path, run):
    """Return the first steps that a rotator has told of before it was killed."""
    command = [sys.executable, str(script), str(path), PHRASE, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        steps = [int(process.stdout.readline() or -1) for _ in range(4)]
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return steps
