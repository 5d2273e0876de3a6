"""One process owns the file: a lock beside it, and a clear word to whoever comes second."""

import fcntl
import os
from pathlib import Path
from typing import Self

from alknet.errors import SettingsError


class FileLock:
    """Holds `<path>.lock` for as long as it is entered; the lock ends with the process, however.

    The lock is on a file of its own: SQLite's locks on the database are POSIX locks, and a process
    loses all of those on a file when it closes any descriptor of it.

    Raises:
        SettingsError: another process, or another part of this one, holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        lock = self._path.with_name(f"{self._path.name}.lock")
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"cannot create {lock}: {(error.strerror or str(error)).lower()}; the node needs "
                f"to write in the directory of its database"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise SettingsError(
                f"{self._path} is in use by process {holder}: one node owns a database; stop that "
                f"one first, or give this one another file (`path` under [storage])"
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        # The file stays: whoever removed it could remove it from under the next holder.
        os.close(self._descriptor)
        self._descriptor = -1
