"""What happens to the file from outside: full disks, locks, removals, read-only places."""

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap

import apsw
import pytest
import trio

from alknet.errors import Unavailable
from alknet.store.database import open_database


async def make_table(database):
    await database.write(lambda c: c.execute("create table t(v text)").get)


async def note(database, text):
    await database.write(lambda c: c.execute("insert into t values (?)", (text,)).get)


def kept(path):
    with sqlite3.connect(path) as connection:
        found = [row[0] for row in connection.execute("select v from t")]
    connection.close()
    return found


@pytest.mark.parametrize("removed", ["test.db", "test.db-wal"])
async def test_nothing_is_acknowledged_once_a_file_has_been_removed(tmp_path, removed):
    async with open_database(tmp_path / "test.db") as database:
        await make_table(database)
        (tmp_path / removed).unlink()

        for _ in range(2):
            with pytest.raises(Unavailable, match="removed or replaced while the node") as caught:
                await note(database, "lost")
            assert not caught.value.retryable


async def test_nothing_is_acknowledged_once_the_file_has_been_replaced(tmp_path):
    path = tmp_path / "test.db"
    async with open_database(path) as database:
        await make_table(database)
        shutil.copy(path, tmp_path / "other.db")
        os.replace(tmp_path / "other.db", path)

        with pytest.raises(Unavailable, match="put the file or a backup back"):
            await note(database, "lost")


async def test_a_lock_of_another_program_is_waited_for_and_then_named(tmp_path, monkeypatch):
    monkeypatch.setattr("alknet.store.connection._BUSY_MS", 50)
    path = tmp_path / "test.db"
    async with open_database(path) as database:
        await make_table(database)
        # Of the same SQLite: POSIX locks do not tell two copies in one process apart.
        other = apsw.Connection(str(path))
        other.execute("begin immediate")
        failed = []

        async def locked_out():
            with pytest.raises(Unavailable, match="another program holds a lock") as caught:
                await note(database, "refused")
            failed.append(caught.value.retryable)

        # One wait for all of them, not one after the other.
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for _ in range(64):
                    nursery.start_soon(locked_out)
        other.execute("rollback")
        other.close()
        await note(database, "kept")

    assert failed == [True] * 64
    assert kept(path) == ["kept"]


FILL = """
    import sys, trio
    from pathlib import Path
    from alknet.errors import Unavailable
    from alknet.store.database import open_database

    acknowledged = []
    refusals = []

    async def fill(database):
        # Large beside small: a small one may fit where a large one did not.
        for size in (20_000, 10):
            for number in range(400):
                text = f"{size}-{number}-" + "x" * size
                try:
                    await database.write(lambda c: c.execute("insert into t values (?)", (text,)))
                except Unavailable as error:
                    refusals.append(str(error))
                    break
                acknowledged.append(text)

    async def main(path):
        async with open_database(path) as database:
            await database.write(lambda c: c.execute("create table t(v text)"))
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(fill, database)
        async with open_database(path, check="full") as database:
            kept = sorted(row[0] for row in database.rows("select v from t"))
        assert kept == sorted(acknowledged), (len(kept), len(acknowledged))
        assert refusals
        assert all("there is no room left" in each for each in refusals), set(refusals)
        print("acknowledged", len(acknowledged))

    trio.run(main, Path(sys.argv[1]) / "test.db")
"""


def test_a_full_disk_refuses_and_keeps_exactly_what_was_acknowledged(tmp_path):
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    small = f"mount -t tmpfs -o size=2m none {tmp_path}"
    try:
        subprocess.run([*mount, small], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody mount a small file system")
    script = tmp_path.with_name("fill.py")
    script.write_text(textwrap.dedent(FILL))
    run = f"{small} && exec {sys.executable} {script} {tmp_path}"

    done = subprocess.run([*mount, run], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("acknowledged")
