"""Tasks go to the workers that know them, come back when they are lost, and end once."""

import re

import pytest
import trio
import trio.testing

from alknet import Settings
from alknet.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from alknet.protocol.task import (
    CreateTask,
    ExtendTask,
    GetTask,
    ListTasks,
    SubmitTask,
    TakeTasks,
    WatchTasks,
)
from alknet.services.storage.base import StorageSettings
from alknet.services.task import TaskSettings
from alknet.testing import connected, node


def settings(path=None, **fields):
    storage = StorageSettings(path=None if path is None else str(path))
    return Settings(services={"storage": storage, "task": TaskSettings(**fields)})


@pytest.fixture
async def head():
    async with node(settings=settings()) as head:
        yield head


async def take(stream, count):
    with trio.fail_after(10):
        return [await anext(stream) for _ in range(count)]


async def over(client, task):
    """Return *task* when it is over."""
    with trio.fail_after(10):
        async with client.stream(WatchTasks(task=task.id)) as events:
            last = [event async for event in events][-1]
    assert last.state in ("done", "failed", "dead")
    return await client.call(GetTask(task.id))


async def test_a_task_goes_to_a_worker_and_its_output_comes_back(head):
    async with (
        connected(head, name="asker", scopes=["task:create", "task:read"]) as asker,
        connected(head, name="worker-1", scopes=["task:work"]) as worker,
    ):
        made = await asker.call(CreateTask("resize", {"width": 7}))
        async with worker.stream(TakeTasks(("resize",))) as stream:
            (given,) = await take(stream, 1)
            assert (given.task, given.input, given.attempt) == (made.id, {"width": 7}, 1)
            await worker.call(ExtendTask(given.task, 1))
            await worker.call(SubmitTask(given.task, 1, output={"url": "x"}))
        done = await over(asker, made)

    assert (done.state, done.output, done.worker) == ("done", {"url": "x"}, "worker-1")
    assert done.creator == "asker"


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        ("/head/task/create", {"template": "x"}),
        ("/head/task/submit", {"task": "x", "attempt": 1}),
        ("/worker/task/submit", {"task": "x", "attempt": 1}),
        ("/head/task/get", {"task": "x"}),
        ("/head/task/list", {}),
    ],
)
async def test_every_operation_asks_for_its_scope(head, path, request_):
    async with connected(head, name="nobody", scopes=["storage:read"]) as client:
        with pytest.raises(Forbidden, match="the scope 'task:"):
            await client.invoke(path, request_)
        for stream in (TakeTasks(("x",)), WatchTasks()):
            with pytest.raises(Forbidden, match="the scope 'task:"):
                async with client.stream(stream) as items:
                    await anext(items)


async def test_the_paths_of_the_older_papers_lead_there(head):
    """`/head/task/template` and `/worker/task/submit`, without a type of ours."""
    async with connected(head, name="worker-1", scopes=["task:*"]) as worker:
        made = await worker.invoke("/head/task/create", {"template": "resize", "input": [1, 2]})
        stream = worker.invoke_stream("/head/task/template", {"templates": ["resize"]})
        async with stream as items:
            (given,) = await take(items, 1)
            assert given == {
                "task": made["id"],
                "template": "resize",
                "input": [1, 2],
                "attempt": 1,
                "lease": 30.0,
                "deadline": None,
            }
            done = await worker.invoke(
                "/worker/task/submit", {"task": given["task"], "attempt": 1, "output": 3}
            )
    assert (done["state"], done["output"]) == ("done", 3)


async def test_a_worker_has_no_more_in_hand_than_it_asks_for(head):
    for number in range(5):
        await head.client.call(CreateTask("resize", number))
    async with head.client.stream(TakeTasks(("resize",), slots=2)) as stream:
        first, second = await take(stream, 2)
        await trio.testing.wait_all_tasks_blocked()
        assert len((await head.client.call(ListTasks(state="queued"))).tasks) == 3
        await head.client.call(SubmitTask(second.task, 1))
        (third,) = await take(stream, 1)
        assert [first.input, second.input, third.input] == [0, 1, 2]


async def test_the_least_busy_worker_is_next(head):
    async with (
        connected(head, name="a") as a,
        connected(head, name="b") as b,
        a.stream(TakeTasks(("t",), slots=9)) as of_a,
        b.stream(TakeTasks(("t",), slots=9)) as of_b,
    ):
        # A client's stream begins with its request; the answer to another that follows it tells
        # that it has arrived.
        for client in (a, b):
            await client.call(ListTasks())
        for number in range(6):
            await head.client.call(CreateTask("t", number))
        taken = [*await take(of_a, 3), *await take(of_b, 3)]
    assert sorted(each.input for each in taken) == list(range(6))


async def test_what_a_worker_leaves_is_another_ones(head):
    made = await head.client.call(CreateTask("t"))
    async with connected(head, name="b") as b:
        async with connected(head, name="a") as a, a.stream(TakeTasks(("t",))) as stream:
            assert (await take(stream, 1))[0].attempt == 1
        async with b.stream(TakeTasks(("t",))) as stream:
            (given,) = await take(stream, 1)
            assert (given.task, given.attempt) == (made.id, 2)
            await b.call(SubmitTask(made.id, 2, output="b's"))
        done = await over(head.client, made)
    assert (done.output, done.worker, done.attempts) == ("b's", "b", 2)


async def test_a_worker_that_says_nothing_loses_its_lease():
    async with (
        node(settings=settings(lease=0.1)) as head,
        connected(head, name="a") as a,
        connected(head, name="b") as b,
        a.stream(TakeTasks(("t",))) as of_a,
    ):
        await head.client.call(CreateTask("t"))
        (lost,) = await take(of_a, 1)
        async with b.stream(TakeTasks(("t",))) as of_b:
            (given,) = await take(of_b, 1)
            assert (given.task, given.attempt) == (lost.task, 2)
            with pytest.raises(Conflict, match="drop it"):
                await a.call(SubmitTask(lost.task, 1, output="late"))
            await b.call(SubmitTask(given.task, 2, output="b's"))
        assert (await head.client.call(GetTask(lost.task))).output == "b's"


async def test_a_deadline_ends_a_task_that_nobody_takes(head):
    made = await head.client.call(CreateTask("t", timeout=0.05))
    assert (await over(head.client, made)).error == "it was not done by its deadline"


async def test_a_failure_that_passes_comes_again(head):
    made = await head.client.call(CreateTask("t"))
    async with head.client.stream(TakeTasks(("t",))) as stream:
        for attempt in (1, 2, 3):
            (given,) = await take(stream, 1)
            assert given.attempt == attempt
            await head.client.call(
                SubmitTask(made.id, attempt, error="busy", retryable=True, retry_after=0)
            )
    dead = await over(head.client, made)
    assert (dead.state, dead.attempts) == ("dead", 3)


async def test_a_watcher_sees_all_that_happens_and_goes_on_behind_a_cursor(head):
    client = head.client
    made = await client.call(CreateTask("t"))
    async with client.stream(WatchTasks(after=0)) as events:
        assert [(event.task, event.state) for event in await take(events, 1)] == [
            (made.id, "queued")
        ]
        async with client.stream(TakeTasks(("t",))) as stream:
            await take(stream, 1)
            await client.call(ExtendTask(made.id, 1))
            await client.call(ExtendTask(made.id, 1))
            await client.call(SubmitTask(made.id, 1))
        found = await take(events, 3)
    assert [event.state for event in found] == ["assigned", "running", "done"]
    assert [event.version for event in found] == [2, 3, 4]
    async with client.stream(WatchTasks(after=found[0].sequence)) as events:
        assert await take(events, 2) == found[1:]
    # And nobody who follows the graphs is told.
    with pytest.raises(InvalidInput, match="no stream 'tasks'"):
        async with client.stream(_watch_storage("tasks")) as events:
            await take(events, 1)


def _watch_storage(stream):
    from alknet.protocol.storage import Watch

    return Watch(stream)


async def test_tasks_outlive_the_node(tmp_path):
    path = tmp_path / "test.db"
    async with node(settings=settings(path)) as head:
        kept = await head.client.call(CreateTask("t", "kept", key="k"))
        async with head.client.stream(TakeTasks(("t",))) as stream:
            await take(stream, 1)
            done = await head.client.call(SubmitTask(kept.id, 1, output=1))
        waits = await head.client.call(CreateTask("t", "waits"))
    async with node(settings=settings(path)) as head:
        assert await head.client.call(GetTask(kept.id)) == done
        assert await head.client.call(CreateTask("t", "kept", key="k")) == done
        async with head.client.stream(TakeTasks(("t",))) as stream:
            (given,) = await take(stream, 1)
        assert given.task == waits.id


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (CreateTask("t", "x" * 200), InvalidInput, "the input has 202 bytes as JSON, and `pay"),
        (SubmitTask("x", 1, output="x" * 200), InvalidInput, "the output has 202 bytes"),
        (SubmitTask("x", 1, output=1, error="e"), InvalidInput, "not both"),
        (SubmitTask("x", 1), NotFound, "there is no task 'x'"),
        (GetTask("x"), NotFound, "there is no task 'x'"),
    ],
)
async def test_what_makes_no_sense_is_refused(request_, error, message):
    async with node(settings=settings(payload_bytes=100)) as head:
        with pytest.raises(error, match=re.escape(message)):
            await head.client.call(request_)


@pytest.mark.parametrize(
    ("path", "input", "field"),
    [
        ("task/create", {"template": ""}, "template"),
        ("task/create", {"template": "t", "timeout": 0}, "timeout"),
        ("task/create", {"template": "t", "max_attempts": 0}, "max_attempts"),
        ("task/create", {"template": "t", "state": "done"}, "state"),
        ("task/list", {"state": "lost"}, "state"),
    ],
)
async def test_input_is_checked_before_anything_is_done(head, path, input, field):
    with pytest.raises(InvalidInput) as caught:
        await head.client.invoke(f"/head/{path}", input)
    assert caught.value.details == {"field": field}


async def test_there_is_room_for_so_many():
    async with node(settings=settings(room=2)) as head:
        for _ in range(2):
            await head.client.call(CreateTask("t"))
        with pytest.raises(Unavailable) as caught:
            await head.client.call(CreateTask("t"))
        assert caught.value.retryable


async def test_five_hundred_tasks_and_eight_workers_that_come_and_go():
    """Every task is done once, whoever leaves in the middle of whatever."""

    async def drudge(head, name, patience):
        while True:
            async with (
                connected(head, name=name) as client,
                client.stream(TakeTasks(("t",), slots=8)) as stream,
            ):
                for _ in range(patience):
                    given = await anext(stream)
                    await client.call(SubmitTask(given.task, given.attempt, output=1))

    async with node(settings=settings(attempts=100)) as head, trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(drudge, head, f"w{number}", 5 + number * 3)
        made = {(await head.client.call(CreateTask("t", n))).id for n in range(500)}
        done = []
        with trio.fail_after(60):
            async with head.client.stream(WatchTasks(after=0)) as events:
                while len(done) < len(made):
                    event = await anext(events)
                    if event.state == "done":
                        done.append(event.task)
        nursery.cancel_scope.cancel()
        assert sorted(done) == sorted(made)
        assert (await head.client.call(ListTasks(state="queued"))).tasks == ()
