"""`work` does what its head hands out, and loses nothing when the link or the head does."""

import pytest
import trio

from alknet import Settings
from alknet.errors import Conflict, Disconnected, InvalidInput, NotFound, Unavailable
from alknet.protocol.task import CreateTask, GetTask, WatchTasks
from alknet.services.storage.base import StorageSettings
from alknet.services.task import TaskSettings
from alknet.testing import connected, node
from alknet.worker import work


def settings(**fields):
    return Settings(services={"storage": StorageSettings(), "task": TaskSettings(**fields)})


@pytest.fixture
async def head():
    async with node(settings=settings()) as head:
        yield head


async def until(client, made, state):
    """Return the task when it is in that state."""
    with trio.fail_after(10):
        async with client.stream(WatchTasks(task=made.id)) as events:
            async for event in events:
                if event.state == state:
                    break
    return await client.call(GetTask(made.id))


class Doers:
    """Doers of every kind; `begun` has the inputs that were begun, `ended` those that ended."""

    def __init__(self):
        self.let_go = trio.Event()
        self.begun = []
        self.ended = []
        self.most = 0

    async def shout(self, text):
        await trio.lowlevel.checkpoint()
        return text.upper()

    async def hold(self, what):
        self.begun.append(what)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        try:
            await self.let_go.wait()
        finally:
            self.ended.append(what)
        return what

    async def refuse(self, _):
        raise InvalidInput("there is no such picture")

    async def be_busy(self, _):
        raise Unavailable("no picture today")

    async def fail(self, _):
        raise ZeroDivisionError("the phrase is hunter2")

    async def babble(self, _):
        return object()

    async def drone(self, _):
        return "x" * 1000

    def by_template(self):
        return {
            "shout": self.shout,
            "hold": self.hold,
            "refuse": self.refuse,
            "be busy": self.be_busy,
            "fail": self.fail,
            "babble": self.babble,
            "drone": self.drone,
        }


@pytest.fixture
def doers():
    return Doers()


async def test_what_a_doer_returns_is_the_output(head, doers):
    async with connected(head, name="w") as client, trio.open_nursery() as nursery:
        nursery.start_soon(work, client, doers.by_template())
        made = [await head.client.call(CreateTask("shout", text)) for text in "abc"]
        done = [await until(head.client, each, "done") for each in made]
        assert [(each.output, each.worker) for each in done] == [("A", "w"), ("B", "w"), ("C", "w")]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("template", "state", "error"),
    [
        ("refuse", "failed", "there is no such picture"),
        ("be busy", "dead", "it was tried 1 times, the most it may be: no picture today"),
        (
            "fail",
            "dead",
            "it was tried 1 times, the most it may be: ZeroDivisionError in the worker, whose log "
            "has more under the task's id",
        ),
        (
            "babble",
            "dead",
            "it was tried 1 times, the most it may be: TypeError in the worker, whose log has more "
            "under the task's id",
        ),
        (
            "drone",
            "failed",
            "its output cannot be submitted: the output has 1002 bytes as JSON, and "
            "`payload_bytes` under [task] allows 500: keep it elsewhere, and say where",
        ),
    ],
)
async def test_what_a_doer_raises_is_the_error(doers, template, state, error):
    async with (
        node(settings=settings(payload_bytes=500)) as head,
        connected(head, name="w") as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(work, client, doers.by_template())
        made = await head.client.call(CreateTask(template, max_attempts=1))
        over = await until(head.client, made, state)
        assert over.error == error
        assert (await head.client.call(CreateTask("shout", "a"))).state == "queued"
        nursery.cancel_scope.cancel()


async def test_no_more_are_done_at_a_time_than_there_are_slots(head, doers):
    made = [await head.client.call(CreateTask("hold", number)) for number in range(6)]
    async with connected(head, name="w") as client, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: work(client, doers.by_template(), slots=2))
        await until(head.client, made[1], "running")
        doers.let_go.set()
        for each in made:
            await until(head.client, each, "done")
        nursery.cancel_scope.cancel()
    assert doers.most == 2


async def test_a_lost_link_costs_a_worker_nothing_that_it_has_begun(head, doers):
    made = await head.client.call(CreateTask("hold"))
    async with (
        connected(head, name="w", reconnect=True) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(work, client, doers.by_template())
        await until(head.client, made, "running")
        await client.session.link.aclose()
        await until(head.client, made, "queued")
        again = await until(head.client, made, "running")
        doers.let_go.set()
        done = await until(head.client, made, "done")
        assert (again.attempts, done.attempts) == (1, 1)
        assert doers.begun == [None], "it was not begun anew"
        nursery.cancel_scope.cancel()


async def test_a_task_that_somebody_else_has_by_now_is_dropped(head, doers):
    made = await head.client.call(CreateTask("hold"))
    async with (
        connected(head, name="b") as other,
        connected(head, name="a", reconnect=True) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(work, client, doers.by_template())
        await until(head.client, made, "running")
        others = Doers()
        nursery.start_soon(work, other, others.by_template())
        await client.session.link.aclose()
        with trio.fail_after(10):
            while not others.begun or not doers.ended:
                await trio.lowlevel.checkpoint()
        others.let_go.set()
        done = await until(head.client, made, "done")
        assert (done.worker, done.attempts) == ("b", 2)
        nursery.cancel_scope.cancel()


async def test_a_lease_is_extended_for_as_long_as_a_doer_takes(doers):
    async with (
        node(settings=settings(lease=0.2)) as head,
        connected(head, name="w") as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(work, client, doers.by_template())
        made = await head.client.call(CreateTask("hold"))
        await until(head.client, made, "running")
        # Three leases long it stays what it is.
        with trio.move_on_after(0.6):
            await until(head.client, made, "queued")
        doers.let_go.set()
        assert (await until(head.client, made, "done")).attempts == 1
        nursery.cancel_scope.cancel()


async def test_a_doer_is_cancelled_at_the_deadline_of_its_task(head, doers):
    async with connected(head, name="w") as client, trio.open_nursery() as nursery:
        nursery.start_soon(work, client, doers.by_template())
        made = await head.client.call(CreateTask("hold", timeout=0.2))
        assert (await until(head.client, made, "dead")).error == "it was not done by its deadline"
        with trio.fail_after(10):
            while not doers.ended:
                await trio.lowlevel.checkpoint()
        made = await head.client.call(CreateTask("shout", "on"))
        assert (await until(head.client, made, "done")).output == "ON"
        nursery.cancel_scope.cancel()


async def test_a_worker_whose_link_does_not_come_back_is_told(head, doers):
    async with connected(head, name="w") as client:

        async def cut():
            await until(head.client, await head.client.call(CreateTask("hold")), "running")
            await client.session.link.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            with pytest.raises(Disconnected), trio.fail_after(10):
                await work(client, doers.by_template())


async def test_a_head_that_keeps_no_tasks_has_no_work(doers):
    async with node() as head, connected(head, name="w") as client:
        with pytest.raises(NotFound), trio.fail_after(10):
            await work(client, doers.by_template())


async def test_an_outcome_that_the_head_knows_already_is_no_error(head, doers):
    """As when the answer to it was lost."""
    made = await head.client.call(CreateTask("shout", "a"))
    async with connected(head, name="w") as client, trio.open_nursery() as nursery:
        nursery.start_soon(work, client, doers.by_template())
        done = await until(head.client, made, "done")
        again = {"task": made.id, "attempt": 1, "output": "other"}
        assert (await client.invoke("/worker/task/submit", again))["output"] == done.output == "A"
        with pytest.raises(Conflict):
            await client.invoke("/worker/task/submit", {**again, "attempt": 2})
        nursery.cancel_scope.cancel()
