"""Commits of other processes, noticed: somebody with a `sqlite3` shell, or a tool of their own.

One node owns the file, so this is rare, and must not cost much where it does not happen. The system
says (inotify) that the -wal was written to, by us or by others; SQLite says, to the one connection
that writes, whether another one has committed. After writes of our own we look some milliseconds
later, not at each; and where inotify is not to be had, we look ten times a second.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw
import structlog
import trio

from alknet.errors import Unavailable
from alknet.store.database import Database

log = structlog.get_logger("alknet.storage")

_BETWEEN_LOOKS: Final = 0.01
# Their last write to the -wal comes a little before what they wrote can be seen.
_OTHERS_COMMIT: Final = 0.0005
_PATIENCE: Final = 20
_WITHOUT_INOTIFY: Final = 0.1
# The net: what inotify does not tell, on a network file system say.
_LONGEST_PAUSE: Final = 1.0

_IN_MODIFY: Final = 0x2  # from <sys/inotify.h>
_EVENT_BYTES: Final = 4096


async def notice_others(database: Database, changed: Callable[[apsw.Connection], None]) -> None:
    """Wake who waits for commits when another process has made one; runs until it is cancelled.

    *changed* is then called in the writer's thread, with the connection that writes.
    """
    last = 0

    def look(connection: apsw.Connection) -> bool:
        nonlocal last
        before, last = last, int(connection.pragma("data_version"))
        if last == before:
            return False
        changed(connection)
        return True

    with _watched(Path(f"{database.path}-wal")) as descriptor:
        seen = _version(database)
        while True:
            try:
                if await _others_committed(database, descriptor, seen):
                    database.notice()
                # Before the look: what is committed after this is for the next round.
                seen = _version(database)
                if await database.write(look):
                    database.foreign_commits += 1
                    database.notice()
            except Unavailable as error:
                # Whoever asks us is told the same.
                log.debug("others not noticed", why=str(error))
                await trio.sleep(_LONGEST_PAUSE)


async def _others_committed(database: Database, descriptor: int | None, seen: int) -> bool:
    """Wait until there may be something to look at; return whether it is another's, most likely.

    *seen* is the version at the last look.
    """
    commits = database.commits
    while True:
        await _written(descriptor)
        if database.commits != commits:
            await trio.sleep(_BETWEEN_LOOKS)
            return False
        # Nobody here has written: others are about to commit, or have.
        for _ in range(1 if descriptor is None else _PATIENCE):
            if _version(database) != seen:
                return True
            await trio.sleep(_OTHERS_COMMIT)


def _version(database: Database) -> int:
    """Return a number that is another one after each commit, of whoever."""
    row = database.row("pragma data_version")
    assert row is not None
    return int(row[0])


async def _written(descriptor: int | None) -> None:
    """Return when the watched file was written to, or after a while."""
    if descriptor is None:
        await trio.sleep(_WITHOUT_INOTIFY)
        return
    with trio.move_on_after(_LONGEST_PAUSE):
        await trio.lowlevel.wait_readable(descriptor)
    with suppress(BlockingIOError):
        os.read(descriptor, _EVENT_BYTES)


@contextmanager
def _watched(path: Path) -> Iterator[int | None]:
    """Give a descriptor that can be read when *path* was written to, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    except AttributeError:
        descriptor = -1
    if descriptor < 0:
        yield None
        return
    try:
        watch = libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_MODIFY)
        yield None if watch < 0 else descriptor
    finally:
        os.close(descriptor)
