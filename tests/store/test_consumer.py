"""Jobs are done at least once, a few at a time, and what they leave is written exactly once."""

import apsw
import pytest
import trio
import trio.testing

from alknet.errors import InvalidInput, Unavailable
from alknet.store.consumer import Consumer, Hopeless
from alknet.store.database import open_database
from alknet.store.queue import claim, enqueue


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path / "test.db") as database:
        await database.write(lambda c: c.execute("create table done(payload text)").get)
        yield database


async def add(database, *payloads, **options):
    def enqueue_all(connection):
        for payload in payloads:
            enqueue(connection, "q", payload, **options)

    await database.write(enqueue_all)


def noted(job):
    """Return the transaction that notes *job*."""
    return lambda connection: (
        connection.execute("insert into done values (?)", (job.payload.decode(),)).get
    )


def done(database):
    return sorted(row[0] for row in database.rows("select payload from done"))


def left(database):
    return database.rows("select state, attempts from _honker_live order by id")


def buried(database):
    return database.rows("select payload, attempts, last_error from _honker_dead order by id")


async def settled(database, found, expected):
    """Return when *found* gives what is expected, which a commit brings about."""
    with trio.fail_after(10):
        while found(database) != expected:
            with trio.move_on_after(0.2):
                await database.committed()


async def test_jobs_are_done_as_they_come_and_their_effect_is_written(database):
    async def work(job):
        return noted(job)

    await add(database, b"1", b"2")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Consumer(database, "q", work).run)
        await settled(database, done, ["1", "2"])
        await add(database, b"3")
        await settled(database, done, ["1", "2", "3"])
        nursery.cancel_scope.cancel()
    assert left(database) == []


async def test_no_more_are_worked_on_than_is_said(database):
    at_once, most = 0, 0

    async def work(job):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        at_once -= 1
        return noted(job)

    await add(database, *(b"%d" % n for n in range(30)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Consumer(database, "q", work, concurrency=4).run)
        await settled(database, lambda d: len(done(d)), 30)
        nursery.cancel_scope.cancel()
    assert most == 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [(InvalidInput("not so"), "not so"), (ValueError("hunter2"), "ValueError")],
)
@pytest.mark.parametrize("where", ["work", "effect"])
async def test_what_fails_is_tried_again_and_buried_after_its_last_attempt(
    database, error, reason, where
):
    tried = []

    def fail(_):
        raise error

    async def work(job):
        tried.append(job.attempts)
        if where == "work":
            raise error
        return fail

    await add(database, b"1", max_attempts=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Consumer(database, "q", work).run)
        await settled(database, left, [("pending", 1)])
        # Its second attempt is put off by a second; let that be over.
        await database.write(lambda c: c.execute("update _honker_live set run_at = 1").get)
        await settled(database, buried, [("1", 2, reason)])
        nursery.cancel_scope.cancel()
    assert (tried, left(database)) == ([1, 2], [])


async def test_what_is_hopeless_is_buried_at_once(database):
    async def work(job):
        raise Hopeless("nobody can read this")

    await add(database, b"1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Consumer(database, "q", work).run)
        await settled(database, buried, [("1", 1, "nobody can read this")])
        nursery.cancel_scope.cancel()


async def test_who_stops_gives_back_what_it_has_and_uses_up_no_attempt(database):
    begun = trio.Event()

    async def work(job):
        begun.set()
        await trio.sleep_forever()

    await add(database, b"1")
    for _ in range(5):
        begun = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Consumer(database, "q", work).run)
            with trio.fail_after(5):
                await begun.wait()
            assert left(database) == [("processing", 1)]
            nursery.cancel_scope.cancel()
        assert left(database) == [("pending", 0)]


async def test_a_claim_is_extended_for_as_long_as_the_work_takes(database):
    finish = trio.Event()

    async def work(job):
        await finish.wait()
        return noted(job)

    await add(database, b"1")

    def expires(database):
        return database.row("select claim_expires_at from _honker_live")[0]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Consumer(database, "q", work, visibility=2).run)
        await settled(database, left, [("processing", 1)])
        first = expires(database)
        await settled(database, lambda d: expires(d) > first + 1, True)
        finish.set()
        await settled(database, done, ["1"])
        nursery.cancel_scope.cancel()


async def test_whose_claim_is_lost_is_stopped_and_leaves_nothing(database):
    stopped = trio.Event()

    async def work(job):
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    await add(database, b"1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Consumer(database, "q", work, visibility=1).run)
        await settled(database, left, [("processing", 1)])
        # As after a suspended machine: somebody else has claimed it meanwhile.
        await database.write(
            lambda c: (
                c.execute(
                    "update _honker_live set worker_id = 'other', claim_expires_at = unixepoch() + 99"
                ).get
            )
        )
        with trio.fail_after(5):
            await stopped.wait()
        nursery.cancel_scope.cancel()
    assert (left(database), done(database)) == ([("processing", 1)], [])


async def test_the_job_of_a_consumer_that_died_is_done_when_its_claim_expires(database):
    async def work(job):
        return noted(job)

    await add(database, b"1")
    await database.write(lambda c: claim(c, "q", "dead", 1, visibility=3600))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Consumer(database, "q", work).run)
        await trio.testing.wait_all_tasks_blocked()
        assert left(database) == [("processing", 1)]
        await database.write(lambda c: c.execute("update _honker_live set claim_expires_at=1").get)
        await settled(database, done, ["1"])
        nursery.cancel_scope.cancel()


async def test_two_consumers_share_the_jobs_and_none_is_done_twice(database):
    async def work(job):
        await trio.lowlevel.checkpoint()
        return noted(job)

    await add(database, *(b"%03d" % n for n in range(200)))
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(Consumer(database, "q", work).run)
        await settled(database, lambda d: len(done(d)) >= 200, True)
        nursery.cancel_scope.cancel()
    assert done(database) == [f"{n:03}" for n in range(200)]


async def test_a_database_that_refuses_is_waited_out(tmp_path, monkeypatch):
    monkeypatch.setattr("alknet.store.connection._BUSY_MS", 20)
    async with open_database(tmp_path / "test.db") as database:
        await database.write(lambda c: c.execute("create table done(payload text)").get)
        await add(database, b"1")
        other = apsw.Connection(str(tmp_path / "test.db"))
        other.execute("begin immediate")

        async def work(job):
            return noted(job)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(Consumer(database, "q", work).run)
            with pytest.raises(Unavailable):
                await add(database, b"2")
            other.execute("rollback")
            other.close()
            await settled(database, done, ["1"])
            nursery.cancel_scope.cancel()
