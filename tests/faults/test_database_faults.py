"""What happens to the file from outside: full and failing disks, locks, removals, damage, clocks."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap

import apsw
import pytest
import trio

from alknet import open_node
from alknet.errors import SettingsError, Unavailable
from alknet.protocol.storage import (
    AddNode,
    CreateGraph,
    DefineType,
    GraphType,
    ListAudit,
    ListNodes,
    NodeType,
    UpdateGraph,
    VerifyAudit,
    Watch,
)
from alknet.services.storage.base import StorageSettings
from alknet.settings import Settings
from alknet.store.database import open_database

from .disk import faulty_disk


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


FAILURES = {
    "full": (apsw.FullError, "there is no room left", True),
    "read-only": (apsw.ReadOnlyError, "cannot be written: nothing of this request was kept", False),
    "broken": (apsw.IOError, "the disk under .* failed", False),
}


@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize(("error", "message", "retryable"), FAILURES.values(), ids=FAILURES)
async def test_a_disk_that_takes_no_more_refuses_and_keeps_exactly_what_was_acknowledged(
    tmp_path, error, message, retryable, after
):
    path = tmp_path / "test.db"
    with faulty_disk() as disk:
        async with open_database(path) as database:
            await make_table(database)
            acknowledged = []
            # Each write of a page, of the first transaction or of a later one, is once the last.
            disk.fail("write", error, after=after)
            refusals = []
            for number in range(6):
                try:
                    await note(database, f"{number}{'x' * 5000}")
                except Unavailable as caught:
                    refusals.append(caught)
                else:
                    acknowledged.append(f"{number}{'x' * 5000}")
            assert refusals
            for refusal in refusals:
                assert re.search(message, str(refusal))
                assert refusal.retryable is retryable
            assert [row[0] for row in database.rows("select v from t")] == acknowledged
            disk.mend()
            await note(database, "mended")

    async with open_database(path, check="full"):
        assert kept(path) == [*acknowledged, "mended"]


async def test_a_flush_that_fails_is_not_acknowledged(tmp_path):
    path = tmp_path / "test.db"
    with faulty_disk() as disk:
        async with open_database(path, synchronous="full") as database:
            await make_table(database)
            await note(database, "kept")
            disk.fail("flush", apsw.IOError)
            with pytest.raises(Unavailable, match="the disk under"):
                await note(database, "perhaps")
            disk.mend()
            await note(database, "mended")
            seen = [row[0] for row in database.rows("select v from t")]
    async with open_database(path, check="full"):
        assert kept(path) == seen == ["kept", "mended"]


async def test_what_cannot_be_read_is_said_and_can_be_read_later(tmp_path):
    path = tmp_path / "test.db"
    async with open_database(path) as database:
        await make_table(database)
        await note(database, "kept")
    with faulty_disk() as disk:
        async with open_database(path, check="none") as database:
            disk.fail("read", apsw.IOError)
            with pytest.raises(Unavailable, match="the disk under"):
                database.rows("select v from t")
            disk.mend()
            assert database.rows("select v from t") == [("kept",)]


async def test_a_page_that_is_damaged_under_us_is_told_and_what_is_sound_goes_on(tmp_path):
    path = tmp_path / "test.db"
    async with open_database(path) as database:
        await make_table(database)

        def fill(connection):
            for number in range(4000):
                connection.execute("insert into t values (?)", (f"{number}-{'x' * 500}",))

        await database.write(fill)
    async with open_database(path, check="none") as database:
        middle = path.stat().st_size // 2 // 4096 * 4096
        with path.open("r+b") as file:
            file.seek(middle)
            file.write(b"\xff" * 4096 * 20)

        damaged = "is damaged .*: stop the node, keep a copy .* put the last backup in its place"
        with pytest.raises(Unavailable, match=damaged) as caught:
            database.rows("select sum(length(v)) from t")
        assert not caught.value.retryable
        with pytest.raises(Unavailable, match=damaged):
            await database.write(lambda c: c.execute("update t set v = 'y'").get)
        await note(database, "kept")
        assert database.row("select v from t order by rowid desc limit 1") == ("kept",)
    with pytest.raises(SettingsError, match="is damaged"):
        async with open_database(path):
            pass


async def test_a_clock_that_is_set_back_loses_and_reorders_nothing(tmp_path, monkeypatch):
    table = StorageSettings(path=str(tmp_path / "test.db"))
    settings = Settings(services={"storage": table})
    # An hour back with each look, and then into another century.
    times = iter([*(1.7e9 - 3600 * step for step in range(40)), *[1.0] * 1000])
    monkeypatch.setattr("alknet.store.change.time.time", lambda: next(times))
    async with open_node(settings) as node:
        client = node.client
        await client.call(DefineType(GraphType("t", (NodeType("n"),))))
        await client.call(CreateGraph("g", "t"))
        made = [(await client.call(AddNode("g", "n"))).key for _ in range(60)]
        await client.call(UpdateGraph("g", description="d"))
    async with open_node(settings) as node:
        client = node.client
        assert {each.key for each in (await client.call(ListNodes("g"))).nodes} == set(made)
        async with client.stream(Watch("nodes", after=0)) as events:
            found = [await anext(events) for _ in made]
        assert [event.key for event in found] == made
        assert [event.sequence for event in found] == sorted(event.sequence for event in found)
        assert (await client.call(VerifyAudit())).is_intact
        assert [entry.action for entry in (await client.call(ListAudit())).entries] == [
            "define-type",
            "create-graph",
            "update-graph",
        ]


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


READ_ONLY = """
    import subprocess, sys, trio
    from pathlib import Path
    from alknet.errors import SettingsError
    from alknet.store.database import open_database

    async def main(folder):
        async with open_database(folder / "test.db"):
            pass
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        try:
            async with open_database(folder / "test.db"):
                print("opened")
        except SettingsError as error:
            print("refused", error)

    trio.run(main, Path(sys.argv[1]))
"""


def on_small_disk(folder, text):
    """Run *text* as a script that is given *folder*, on which a disk of 2 MiB is mounted."""
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    small = f"mount -t tmpfs -o size=2m none {folder}"
    try:
        subprocess.run([*mount, small], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody mount a small file system")
    script = folder.with_name("script.py")
    script.write_text(textwrap.dedent(text))
    run = f"{small} && exec {sys.executable} {script} {folder}"
    done = subprocess.run([*mount, run], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_refuses_and_keeps_exactly_what_was_acknowledged(tmp_path):
    assert on_small_disk(tmp_path, FILL).startswith("acknowledged")


def test_a_disk_that_is_mounted_read_only_is_refused_at_the_start(tmp_path):
    said = on_small_disk(tmp_path, READ_ONLY)
    assert said.startswith("refused")
    assert "test.db" in said
    assert "read-only" in said or "cannot be written" in said
