"""Database: one SQLite file, owned by this process, read at once and written in whole transactions.

Why it is built so. A point read takes some microseconds, less than a hop to a thread, so it is done
in Trio's thread. A write may wait for the disk, so it is done in a thread of its own; and since an
`async with` around a transaction leaves half of one behind when it is cancelled, what goes to that
thread is the whole transaction, as a function. One connection writes and is used by that thread
alone: nobody's statement can slip into somebody else's transaction.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw
import trio

from alknet.store import migrations
from alknet.store.connection import Check, Synchronous, open_reader, open_writer
from alknet.store.faults import explained
from alknet.store.owner import FileLock
from alknet.store.writer import T, Transaction, Writer

Row = tuple[Any, ...]
Bindings = tuple[Any, ...] | dict[str, Any]

# So many long reads at once; each holds a connection and a thread.
_LONG_READERS: Final = 4
# A long read looks whether it has been cancelled each so many steps of SQLite's machine, which is
# about once a millisecond.
_STEPS_BETWEEN_LOOKS: Final = 20_000


class Database:
    """An open database, as `open_database` gives it.

    What has been committed is seen by every read that begins later. `path` is the file; `commits`
    grows with every commit, before whoever asked for it is told, and `foreign_commits` each time
    that other processes were found to have made one.
    """

    def __init__(self, path: Path, writer: apsw.Connection, reader: apsw.Connection) -> None:
        self.path = path
        self.commits = 0
        self.foreign_commits = 0
        self._reader = reader
        self._commits = trio.lowlevel.ParkingLot()
        self._idle_readers: list[apsw.Connection] = []
        self._long_readers = trio.CapacityLimiter(_LONG_READERS)
        self._writer = Writer(writer, path, self.notice)

    def look(self, query: Transaction[T]) -> T:
        """Return what *query* returns, run at once, in Trio's thread.

        For what takes microseconds: points, short pages. It reads its cursors to their end: an open
        one would hold the file at an old state.

        Raises:
            Unavailable: the file cannot be read; the message says why.
        """
        try:
            return query(self._reader)
        except apsw.Error as error:
            raise explained(error, self.path) from error

    def row(self, sql: str, bindings: Bindings = ()) -> Row | None:
        """Return the first row that *sql* gives, at once, or None."""
        found = self.rows(sql, bindings)
        return found[0] if found else None

    def rows(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return every row that *sql* gives, at once: bound their number with a LIMIT."""
        return self.look(lambda connection: connection.execute(sql, bindings).fetchall())

    async def write(self, transaction: Transaction[T]) -> T:
        """Run *transaction* in the writer's thread; return its value when it has been committed.

        It is called with the connection inside a transaction that it must not end, and may be
        called a second time if the first was undone: it changes nothing but the database. All that
        it did is kept, or, if it raises, nothing is.

        When this returns, what was written survives the end of the process however it comes; with
        `synchronous` "full" that of the machine too, while with "normal" a power cut may take the
        last moments, never a part of a transaction.

        Cancelling withdraws a transaction that has not begun: Cancelled means that nothing was
        done. One that has begun is waited for, and its outcome is given although the caller was
        cancelled.

        Raises:
            Unavailable: nothing was kept, for a reason that the message gives: the disk is full,
                the file is locked, read-only, damaged or gone.
            Exception: what *transaction* raised.
        """
        return await self._writer.run(transaction)

    async def read(self, query: Transaction[T]) -> T:
        """Return what *query* returns, run in a thread with a connection that only reads.

        For what takes longer than some hundred microseconds. It sees one state of the database,
        that of its beginning. Cancelling interrupts it within about a millisecond.
        """
        async with self._long_readers:
            connection = self._idle_readers.pop() if self._idle_readers else open_reader(self.path)
            try:
                return await trio.to_thread.run_sync(partial(_in_snapshot, query, connection))
            except apsw.Error as error:
                raise explained(error, self.path) from error
            finally:
                self._give_back(connection)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """Give a connection for short reads, at once, that all see one state of the database.

        While it is held, what is written meanwhile gathers in the -wal.
        """
        connection = self._idle_readers.pop() if self._idle_readers else open_reader(self.path)
        try:
            connection.execute("begin")
            yield connection
        except apsw.Error as error:
            raise explained(error, self.path) from error
        finally:
            if connection.in_transaction:
                connection.execute("rollback")
            self._give_back(connection)

    async def committed(self) -> None:
        """Return when something has been committed after this was called."""
        await self._commits.park()

    def notice(self) -> None:
        """Let whoever waits for a commit look: there was one, of ours or of another process."""
        self.commits += 1
        self._commits.unpark_all()

    def _give_back(self, connection: apsw.Connection) -> None:
        if len(self._idle_readers) < _LONG_READERS:
            self._idle_readers.append(connection)
        else:
            connection.close()

    async def close(self) -> None:
        """Finish the writes that were handed over and close the file; no task may use it now."""
        await self._writer.close()
        for connection in (*self._idle_readers, self._reader):
            connection.close()


@asynccontextmanager
async def open_database(
    path: Path, *, synchronous: Synchronous = "normal", check: Check = "quick"
) -> AsyncIterator[Database]:
    """Open the database at *path*, or make it, and bring it to today's schema.

    *check* says how thoroughly the file is looked through before anything is written to it; each
    takes a time that grows with the file.

    Raises:
        SettingsError: another process uses it, it cannot be opened, is damaged, is not alknet's, or
            was made by a newer alknet. It is as it was before.
    """
    path = path.absolute()  # noqa: ASYNC240 - which asks no disk
    with FileLock(path):
        open_it = partial(_open, path, synchronous, check)
        writer, reader = await trio.to_thread.run_sync(open_it)
        try:
            database = Database(path, writer, reader)
            try:
                yield database
            finally:
                await database.close()
        finally:
            # Closing the last connection moves what is in the -wal into the file.
            writer.close()


def _open(
    path: Path, synchronous: Synchronous, check: Check
) -> tuple[apsw.Connection, apsw.Connection]:
    writer = open_writer(path, synchronous, check)
    try:
        migrations.apply(writer, path)
        return writer, open_reader(path)
    except BaseException:
        writer.close()
        raise


def _in_snapshot(query: Transaction[T], connection: apsw.Connection) -> T:
    def look() -> bool:
        trio.from_thread.check_cancelled()
        return False

    connection.set_progress_handler(look, _STEPS_BETWEEN_LOOKS)
    connection.execute("begin")
    try:
        return query(connection)
    finally:
        connection.set_progress_handler(None)
        connection.execute("rollback")
