"""Connections to the database file: how they are opened, and that the file is ours and sound."""

import os
from pathlib import Path
from typing import Final, Literal

import apsw

import alknet._core
from alknet.errors import SettingsError, Unavailable
from alknet.store import migrations
from alknet.store.faults import explained

Synchronous = Literal["normal", "full"]
Check = Literal["quick", "full", "none"]

# Where SQLite keeps it in the file's header, `file(1)` and ourselves tell whose file it is.
APPLICATION_ID: Final = int.from_bytes(b"alkn")

_BUSY_MS = 5_000
# A reader runs in Trio's thread and holds everybody up while it waits; in WAL mode it has to only
# while another process recovers the file.
_READER_BUSY_MS = 50
_CACHED_STATEMENTS = 256
_LISTED_FAULTS = 3


def open_writer(path: Path, synchronous: Synchronous, check: Check) -> apsw.Connection:
    """Return the connection that writes *path*, which is created if it is not there.

    It is in WAL mode, with foreign keys enforced and honker's functions loaded. *check* says how
    thoroughly the file is looked through first: "quick" leaves out that indexes match their tables.

    Raises:
        SettingsError: it cannot be opened or created, is somebody else's, or is damaged.
    """
    _create(path)
    try:
        connection = apsw.Connection(
            str(path), apsw.SQLITE_OPEN_READWRITE, statementcachesize=_CACHED_STATEMENTS
        )
        try:
            _claim(connection, path)
            connection.set_busy_timeout(_BUSY_MS)
            _tune(connection)
            if check != "none":
                _inspect(connection, path, check)
            mode = connection.pragma("journal_mode", "wal")
            if mode != "wal":
                raise SettingsError(
                    f"{path} cannot be put into WAL mode (it is in {mode!r}): the file system must "
                    f"allow shared memory, which network file systems do not"
                )
            connection.pragma("synchronous", synchronous)
            connection.pragma("foreign_keys", True)
            _load_honker(connection)
        except BaseException:
            connection.close()
            raise
    except apsw.Error as error:
        raise SettingsError(str(explained(error, path))) from error
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """Return a connection that only reads *path*, which exists.

    Raises:
        Unavailable: it cannot be opened.
    """
    try:
        connection = apsw.Connection(
            str(path), apsw.SQLITE_OPEN_READONLY, statementcachesize=_CACHED_STATEMENTS
        )
        connection.set_busy_timeout(_READER_BUSY_MS)
        _tune(connection)
    except apsw.Error as error:
        raise explained(error, path) from error
    return connection


def check_file(path: Path, check: Check) -> int:
    """Return the schema's version of the database at *path*, having looked it through.

    Raises:
        SettingsError: there is none, it is not alknet's, or it is damaged.
    """
    if not path.is_file():
        raise SettingsError(f"there is no database at {path}")
    try:
        connection = open_reader(path)
        try:
            if connection.pragma("application_id") != APPLICATION_ID:
                raise _foreign(path)
            _inspect(connection, path, check)
            return int(connection.pragma("user_version"))
        finally:
            connection.close()
    except (apsw.Error, Unavailable) as error:
        sentence = explained(error, path) if isinstance(error, apsw.Error) else error
        raise SettingsError(str(sentence)) from error


def _create(path: Path) -> None:
    """Make an empty file that only its owner may read; SQLite gives its companions its rights."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise SettingsError(
            f"cannot create {path}: {(error.strerror or str(error)).lower()}"
        ) from None


def _claim(connection: apsw.Connection, path: Path) -> None:
    """Mark an empty database as ours; refuse one that is somebody else's, or of a later time."""
    found = connection.pragma("application_id")
    if found == APPLICATION_ID:
        migrations.refuse_newer(migrations.version(connection), path)
        return
    if found != 0 or connection.execute("select count(*) from sqlite_schema").get:
        raise _foreign(path)
    connection.pragma("application_id", APPLICATION_ID)


def _foreign(path: Path) -> SettingsError:
    return SettingsError(f"{path} is a SQLite database, but not one of alknet's")


def _tune(connection: apsw.Connection) -> None:
    # No memory mapping: a file that is cut short under a mapping kills the process with SIGBUS.
    connection.pragma("mmap_size", 0)
    connection.pragma("temp_store", "memory")
    connection.pragma("cache_size", -65_536)
    connection.pragma("trusted_schema", False)


def _inspect(connection: apsw.Connection, path: Path, check: Check) -> None:
    pragma = "integrity_check" if check == "full" else "quick_check"
    found = [str(row[0]) for row in connection.execute(f"pragma {pragma}({_LISTED_FAULTS})")]
    if found != ["ok"]:
        raise SettingsError(
            f"{path} is damaged ({'; '.join(found)}): keep a copy of the file for later, and put "
            f"the last backup in its place with `alknet restore`"
        )


def _load_honker(connection: apsw.Connection) -> None:
    # Our own library is the extension: see rust/py/src/honker.rs.
    connection.enable_load_extension(True)
    connection.load_extension(alknet._core.__file__, "sqlite3_honkerext_init")
    connection.enable_load_extension(False)
    assert connection.execute("select honker_bootstrap()").get == 1
