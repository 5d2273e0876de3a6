"""The discipline of connections: whole transactions, group commits, and what cancelling means."""

import re
import sqlite3
import stat
from functools import partial
from threading import Event

import apsw
import pytest
import trio
import trio.testing

from alknet.errors import CallError, SettingsError, Unavailable
from alknet.store.connection import APPLICATION_ID
from alknet.store.database import open_database


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path / "test.db") as database:
        await database.write(
            lambda c: c.execute("create table t(id integer primary key, v text unique) strict").get
        )
        yield database


def insert(value, connection):
    connection.execute("insert into t(v) values (?)", (value,))
    return connection.last_insert_rowid()


def values(database):
    return [row[0] for row in database.rows("select v from t order by id")]


async def test_what_a_write_returned_is_read_at_once(database):
    assert await database.write(partial(insert, "a")) == 1
    assert database.row("select v from t where id = ?", (1,)) == ("a",)
    assert database.row("select v from t where id = ?", (2,)) is None


async def test_a_transaction_that_raises_takes_nothing_of_its_neighbours_with_it(database):
    results = {}

    def doubtful(value, connection):
        insert(value, connection)
        if value % 3 == 0:
            raise KeyError(value)

    async def one(value):
        try:
            await database.write(partial(doubtful, value))
        except KeyError:
            results[value] = "failed"
        else:
            results[value] = "kept"

    async with trio.open_nursery() as nursery:
        for value in range(100):
            nursery.start_soon(one, value)

    assert {int(value) for value in values(database)} == {n for n in range(100) if n % 3}
    assert all(results[n] == ("kept" if n % 3 else "failed") for n in range(100))


async def test_many_writers_share_a_commit(database):
    commits = 0

    def count():
        nonlocal commits
        commits += 1
        return False

    await database.write(lambda c: c.set_commit_hook(count))
    async with trio.open_nursery() as nursery:
        for value in range(64):
            nursery.start_soon(database.write, partial(insert, value))

    assert len(values(database)) == 64
    assert 1 <= commits < 32


async def test_a_commit_that_fails_costs_only_the_one_who_spoilt_it(database):
    child = "create table child(of integer references t(id) deferrable initially deferred) strict"
    await database.write(lambda c: c.execute(child).get)
    outcomes = []

    async def orphan():
        with pytest.raises(CallError, match="FOREIGN KEY"):
            await database.write(lambda c: c.execute("insert into child values (99)").get)
        outcomes.append("refused")

    async with trio.open_nursery() as nursery:
        for value in range(5):
            nursery.start_soon(database.write, partial(insert, value))
        nursery.start_soon(orphan)

    assert outcomes == ["refused"]
    assert len(values(database)) == 5


async def test_a_write_that_has_not_begun_is_withdrawn_by_its_cancellation(database):
    busy, go_on = Event(), Event()

    def hold(connection):
        busy.set()
        assert go_on.wait(10)
        return insert("held", connection)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.write, hold)
        await trio.to_thread.run_sync(busy.wait)
        with trio.move_on_after(0.01) as scope:
            await database.write(partial(insert, "withdrawn"))
        assert scope.cancelled_caught
        go_on.set()

    assert values(database) == ["held"]


async def test_a_write_that_has_begun_gives_its_outcome_although_its_caller_is_cancelled(database):
    busy, go_on = Event(), Event()
    returned = []

    def hold(connection):
        busy.set()
        assert go_on.wait(10)
        return insert("held", connection)

    async def caller(scope):
        with scope:
            returned.append(await database.write(hold))

    scope = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller, scope)
        await trio.to_thread.run_sync(busy.wait)
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()

    assert returned == [1]
    assert values(database) == ["held"]


async def test_a_cancelled_crowd_leaves_exactly_what_it_was_told(database):
    told = set()

    async def one(value):
        await database.write(partial(insert, value))
        told.add(str(value))

    with trio.move_on_after(0.02):
        async with trio.open_nursery() as nursery:
            for value in range(3000):
                nursery.start_soon(one, value)

    assert set(values(database)) == told


async def test_a_long_read_sees_one_state_and_is_interrupted_by_a_deadline(database):
    await database.write(partial(insert, "a"))
    looked, written = Event(), Event()

    def look_twice(connection):
        first = connection.execute("select count(*) from t").get
        looked.set()
        assert written.wait(10)
        return first, connection.execute("select count(*) from t").get

    async def write_meanwhile():
        await trio.to_thread.run_sync(looked.wait)
        await database.write(partial(insert, "b"))
        written.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write_meanwhile)
        assert await database.read(look_twice) == (1, 1)

    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    with trio.fail_after(20), trio.move_on_after(0.02) as scope:
        await database.read(lambda c: c.execute(endless).get)
    assert scope.cancelled_caught
    assert await database.read(lambda c: c.execute("select count(*) from t").get) == 2


async def test_a_reader_cannot_write(database):
    with pytest.raises(Unavailable, match="cannot be written"):
        database.row("insert into t(v) values ('x')")


async def test_committed_returns_after_a_commit_and_not_before(database):
    seen = []

    async def watch(*, task_status):
        task_status.started()
        await database.committed()
        seen.append(values(database))

    async with trio.open_nursery() as nursery:
        await nursery.start(watch)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        await database.write(partial(insert, "a"))

    assert seen == [["a"]]


async def test_everything_handed_over_is_written_before_the_file_is_closed(tmp_path):
    path = tmp_path / "test.db"
    async with trio.open_nursery() as nursery:
        async with open_database(path) as database:
            await database.write(lambda c: c.execute("create table t(v text)").get)
            for value in range(50):
                nursery.start_soon(database.write, partial(insert, value))
            await trio.testing.wait_all_tasks_blocked(0.0)

    assert not path.with_name("test.db-wal").exists()
    assert len(sqlite3.connect(path).execute("select v from t").fetchall()) == 50
    with pytest.raises(Unavailable, match="has been closed"):
        await database.write(partial(insert, "late"))


@pytest.mark.parametrize(("given", "level"), [("normal", 1), ("full", 2)])
async def test_a_database_is_opened_as_promised(tmp_path, given, level):
    path = tmp_path / "test.db"
    async with open_database(path, synchronous=given) as database:

        def settings(connection):
            names = ("journal_mode", "synchronous", "foreign_keys", "application_id")
            return [connection.pragma(name) for name in names]

        assert await database.write(settings) == ["wal", level, 1, APPLICATION_ID]
        files = (path, path.with_name("test.db-wal"), path.with_name("test.db.lock"))
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


async def test_a_second_owner_is_told_who_the_first_is(database):
    with pytest.raises(SettingsError, match=r"in use by process \d+: one node owns a database"):
        async with open_database(database.path):
            pass


def _foreign(path):
    with sqlite3.connect(path) as connection:
        connection.execute("create table somebody(elses)")


def _no_database(path):
    path.write_bytes(b"once upon a time" * 300)


def _newer(path):
    with sqlite3.connect(path) as connection:
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute("pragma user_version = 9999")


def _damaged(path):
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", APPLICATION_ID)
    connection.execute("create table t(v)")
    with connection:
        for number in range(2000):
            connection.execute("insert into t values (?)", (f"{number:0100}",))
    connection.close()
    content = bytearray(path.read_bytes())
    content[4096 * 10 : 4096 * 11] = b"\xff" * 4096
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_foreign, "not one of alknet's"),
        (_no_database, "is damaged (file is not a database)"),
        (_newer, "made by a newer alknet: it has schema version 9999"),
        (_damaged, "keep a copy of the file for later, and put the last backup in its place"),
    ],
)
async def test_a_file_that_is_not_ours_or_not_sound_is_refused_untouched(tmp_path, spoil, message):
    path = tmp_path / "test.db"
    spoil(path)
    before = path.read_bytes()

    with pytest.raises(SettingsError, match=re.escape(message)):
        async with open_database(path):
            pass

    assert path.read_bytes() == before


async def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot create .*no-such.*: no such file"):
        async with open_database(tmp_path / "no-such" / "test.db"):
            pass
