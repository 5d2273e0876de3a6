"""kill -9 of workers and heads: no task that was acknowledged is lost, and none is done twice.

`ALKNET_KILL_RUNS=300` kills the head as often as one likes.
"""

import json
import math
import os
import random
from collections import Counter
from contextlib import suppress

import pytest
import trio

from alknet import connect
from alknet.errors import DeadlineExceeded, Unavailable
from alknet.protocol.task import CreateTask, GetTask, WatchTasks
from alknet.store.database import open_database

from ..people import ALICE_KEY
from .processes import running

RUNS = int(os.environ.get("ALKNET_KILL_RUNS", "3"))
ANYWHERE = "ws://127.0.0.1:0"


async def until(client, made, state):
    """Return the task when it is in that state."""
    with trio.fail_after(20):
        async with client.stream(WatchTasks(task=made.id)) as events:
            async for event in events:
                if event.state == state:
                    break
    return await client.call(GetTask(made.id))


async def test_the_task_of_a_killed_worker_is_done_by_another(tmp_path):
    async with running("task_head", str(tmp_path / "test.db"), ANYWHERE, "600") as head:
        url = await head.line()
        async with (
            connect(url, identity=ALICE_KEY) as alice,
            running("drudge", url, "worker-1", "holds") as victim,
        ):
            assert await victim.line() == "ready"
            made = await alice.call(CreateTask("note", "a"))
            assert await victim.line() == "a"
            assert (await until(alice, made, "running")).worker == "worker-1"
            async with running("drudge", url, "worker-2", "does") as heir:
                assert await heir.line() == "ready"
                # The lease has ten minutes to go: it is the lost link that tells.
                await victim.kill()
                assert await heir.line() == "a"
                done = await until(alice, made, "done")
    assert (done.output, done.worker, done.attempts) == ("a by worker-2", "worker-2", 2)


async def test_the_task_of_a_frozen_worker_is_done_by_another(tmp_path):
    """Its link stays open, and nobody is at home."""
    async with running("task_head", str(tmp_path / "test.db"), ANYWHERE, "0.5") as head:
        url = await head.line()
        async with (
            connect(url, identity=ALICE_KEY) as alice,
            running("drudge", url, "worker-1", "holds") as victim,
        ):
            assert await victim.line() == "ready"
            made = await alice.call(CreateTask("note", "a"))
            assert await victim.line() == "a"
            await victim.stop()
            async with running("drudge", url, "worker-2", "does") as heir:
                assert await heir.line() == "ready"
                done = await until(alice, made, "done")
    assert (done.output, done.worker) == ("a by worker-2", "worker-2")


async def test_a_worker_goes_on_with_its_task_when_its_head_was_killed(tmp_path):
    path = str(tmp_path / "test.db")
    async with running("task_head", path, ANYWHERE, "600") as head:
        url = await head.line()
        async with (
            connect(url, identity=ALICE_KEY, reconnect=True) as alice,
            running("drudge", url, "worker-1", "holds") as worker,
        ):
            assert await worker.line() == "ready"
            made = await alice.call(CreateTask("note", "a"))
            assert await worker.line() == "a"
            await until(alice, made, "running")
            await head.kill()
            async with running("task_head", path, url, "600") as again:
                assert await again.line() == url
                kept = await until(alice, made, "running")
                assert (kept.worker, kept.attempts) == ("worker-1", 1)
                # And it can be handed more.
                await alice.call(CreateTask("note", "b"))
                assert await worker.line() == "b"


@pytest.mark.parametrize("seed", [7])
async def test_what_a_killed_head_has_acknowledged_is_done_once_each(tmp_path, seed):
    path, chance = tmp_path / "test.db", random.Random(seed)
    acknowledged = set()
    begun = Counter()
    told, news = trio.open_memory_channel(math.inf)

    async def create(client):
        number = 0
        while True:
            # Who is not told asks again: by its key the task is made once.
            with suppress(Unavailable, DeadlineExceeded):
                task = await client.call(CreateTask("note", str(number), key=f"k{number}"))
                acknowledged.add(task.id)
                told.send_nowait(task.id)
                number += 1

    async def listen(worker):
        while True:
            begun[await worker.line()] += 1

    async with trio.open_nursery() as nursery:
        url = ANYWHERE
        for run in range(RUNS + 1):
            async with running("task_head", str(path), url, "2") as head:
                url = await head.line()
                if run == 0:
                    client = await nursery.start(_linked, url)
                    for name in ("worker-1", "worker-2"):
                        worker = await nursery.start(_drudging, url, name)
                        nursery.start_soon(listen, worker)
                    creating = trio.CancelScope()
                    nursery.start_soon(_within, creating, create, client)
                with trio.fail_after(30):
                    for _ in range(chance.randint(1, 100)):
                        await news.receive()
                if run < RUNS:
                    await head.kill()
                    continue
                creating.cancel()
                with trio.fail_after(60):
                    async with client.stream(WatchTasks(after=0)) as events:
                        left = set(acknowledged)
                        while left:
                            event = await anext(events)
                            if event.state == "done":
                                left.discard(event.task)
        nursery.cancel_scope.cancel()

    async with open_database(path, check="full") as database:
        rows = database.rows("select id, state, input, output from tasks")
        history = database.rows("select key, payload from _honker_stream where topic = 'tasks'")
    states = {id: state for id, state, _, _ in rows}
    assert all(states[id] == "done" for id in acknowledged)
    assert len({input for _, _, input, _ in rows}) == len(rows), "a key makes one task"
    for _, state, input, output in rows:
        if state == "done":
            assert json.loads(output).startswith(f"{json.loads(input)} by worker-")
            assert begun[json.loads(input)] >= 1
    done = Counter(id for id, payload in history if json.loads(payload)[1] == "done")
    assert set(done.values()) == {1}, "an outcome is recorded once"


async def _linked(url, *, task_status):
    async with connect(url, identity=ALICE_KEY, reconnect=True) as client:
        task_status.started(client)
        await trio.sleep_forever()


async def _drudging(url, name, *, task_status):
    async with running("drudge", url, name, "does") as worker:
        assert await worker.line() == "ready"
        task_status.started(worker)
        await trio.sleep_forever()


async def _within(scope, act, *arguments):
    with scope:
        await act(*arguments)
