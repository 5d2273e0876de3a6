"""Copies of the database: whole or not there, taken under load, and put back without loss."""

import re
import sqlite3
import stat

import pytest
import trio

from alknet.errors import SettingsError
from alknet.store.backup import backup, restore
from alknet.store.database import open_database


async def note(database, text):
    def write(connection):
        connection.execute("create table if not exists note(text text)")
        connection.execute("insert into note values (?)", (text,))

    await database.write(write)


async def notes(path):
    async with open_database(path) as database:
        return [row[0] for row in database.rows("select text from note")]


async def test_a_backup_under_load_is_one_moment_and_can_be_restored(tmp_path):
    path, copy = tmp_path / "live.db", tmp_path / "copy.db"

    def pair(number, connection):
        connection.execute("create table if not exists pair(n integer, half text)")
        for half in ("left", "right"):
            connection.execute("insert into pair values (?, ?)", (number, half))

    async def load():
        number = 0
        while True:
            await database.write(lambda c, n=number: pair(n, c))
            number += 1

    async with open_database(path) as database, trio.open_nursery() as nursery:
        nursery.start_soon(load)
        while not database.rows("select 1 from sqlite_schema where name = 'pair'"):
            await database.committed()
        await trio.to_thread.run_sync(backup, path, copy)
        nursery.cancel_scope.cancel()

    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "copy.db", "live.db", "live.db.lock",
    ]  # fmt: skip
    assert restore(copy, tmp_path / "new.db") is None
    async with open_database(tmp_path / "new.db", check="full") as database:
        halves = "select n, count(*) from pair group by n"
        counts = [row[1] for row in database.rows(halves)]
    assert counts
    assert set(counts) == {2}


async def test_a_restore_keeps_what_it_replaces_with_all_that_was_in_its_wal(tmp_path):
    path, copy = tmp_path / "live.db", tmp_path / "copy.db"
    async with open_database(path) as database:
        await note(database, "old")
        backup(path, copy)
    # As a killed node leaves it: with a -wal that has not been moved into the file.
    left = sqlite3.connect(path)
    left.execute("pragma wal_autocheckpoint = 0")
    left.execute("insert into note values ('unmoved')")
    left.commit()
    content = [(name, path.with_name(name).read_bytes()) for name in ("live.db", "live.db-wal")]
    left.close()
    for name, data in content:
        path.with_name(name).write_bytes(data)

    replaced = restore(copy, path)

    assert await notes(path) == ["old"]
    assert replaced == tmp_path / "live.db.replaced-1"
    assert await notes(replaced) == ["old", "unmoved"]
    assert restore(copy, path) == tmp_path / "live.db.replaced-2"


async def test_neither_overwrites_what_it_should_not(tmp_path):
    path, copy, other = tmp_path / "live.db", tmp_path / "copy.db", tmp_path / "other.db"
    async with open_database(path) as database:
        await note(database, "here")
        backup(path, copy)
        with pytest.raises(SettingsError, match="exists already: a backup goes to a new file"):
            backup(path, copy)
        with pytest.raises(SettingsError, match="in use by process"):
            restore(copy, path)
    with pytest.raises(SettingsError, match=re.escape(f"there is no database at {other}")):
        backup(other, tmp_path / "x.db")
    with pytest.raises(SettingsError, match=re.escape(f"there is no database at {other}")):
        restore(other, path)
    content = copy.read_bytes()
    copy.write_bytes(content[:4096] + b"\xff" * 4096 + content[8192:])
    with pytest.raises(SettingsError, match="damaged"):
        restore(copy, path)

    assert await notes(path) == ["here"]
