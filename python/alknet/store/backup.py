"""Backup and restore: whole copies of the database, each either complete or not there."""

import os
from contextlib import suppress
from pathlib import Path

import apsw

from alknet.errors import SettingsError
from alknet.store import migrations
from alknet.store.connection import check_file, open_reader
from alknet.store.faults import explained
from alknet.store.owner import FileLock

# What SQLite keeps beside a database that is or was in use.
_COMPANIONS = ("-wal", "-shm")


def backup(database: Path, copy: Path) -> None:
    """Write the state of *database* at this moment to the new file *copy*.

    The node that owns the database may run, and goes on writing meanwhile. *copy* appears when it
    is complete, checked and on the disk; it is an ordinary database that `restore` takes. What the
    vault has sealed is sealed in it too; everything else is readable, so only its owner may read
    the file.

    Raises:
        SettingsError: there is no such database, *copy* exists, or the disk refused.
    """
    if copy.exists():
        raise SettingsError(f"{copy} exists already: a backup goes to a new file")
    check_file(database, "none")
    partial = copy.with_name(f"{copy.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        reader = open_reader(database)
        try:
            # One read transaction: unlike SQLite's backup interface it is not begun anew each time
            # that somebody else writes, which under load is for ever.
            reader.execute("vacuum into ?", (str(partial),))
        finally:
            reader.close()
        check_file(partial, "full")
        _flush(partial)
        os.link(partial, copy)
        _flush(copy.parent)
    except apsw.Error as error:
        raise SettingsError(f"the backup was not made: {explained(error, copy)}") from error
    except OSError as error:
        raise SettingsError(f"the backup was not made: {error}") from None
    finally:
        for name in ("", *_COMPANIONS):
            with suppress(OSError):
                partial.with_name(partial.name + name).unlink(missing_ok=True)


def restore(copy: Path, database: Path) -> Path | None:
    """Put the backup *copy* in the place of *database*; return where the replaced one is kept.

    No node may run on *database*. Nothing is touched before *copy* has been checked and written out
    beside it; the old files are then moved aside as `<database>.replaced-N`, and a crash at any
    point leaves either them or the new one complete. Bringing it to today's schema is left to the
    next start.

    Raises:
        SettingsError: *copy* is no backup, is damaged or newer than this alknet, a node is running,
            or the disk refused; *database* is as it was.
    """
    migrations.refuse_newer(check_file(copy, "full"), copy)
    database = database.absolute()
    with FileLock(database):
        incoming = database.with_name(f"{database.name}.incoming")
        try:
            incoming.unlink(missing_ok=True)
            backup(copy, incoming)
            _settle(database)
            replaced = _moved_aside(database)
            incoming.rename(database)
            _flush(database.parent)
        except OSError as error:
            raise SettingsError(f"{copy} was not restored: {error}") from None
    return replaced


def _settle(database: Path) -> None:
    """Move what is in the -wal of *database* into it, if it is still sound enough for that."""
    if not database.exists():
        return
    with suppress(apsw.Error):
        connection = apsw.Connection(str(database), apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close()


def _moved_aside(database: Path) -> Path | None:
    """Give the old database another name, with its companions: the new one must not find them."""
    if not database.exists():
        return None
    number = 1
    while (replaced := database.with_name(f"{database.name}.replaced-{number}")).exists():
        number += 1
    for name in (*_COMPANIONS, ""):
        with suppress(FileNotFoundError):
            database.with_name(database.name + name).rename(
                replaced.with_name(replaced.name + name)
            )
    return replaced


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
