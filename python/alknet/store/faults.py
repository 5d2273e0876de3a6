"""What SQLite refuses, in sentences: what happened to the file, and what to do about it."""

from pathlib import Path
from typing import Final

import apsw

from alknet.errors import CallError, Internal, Unavailable

_DAMAGED: Final = (
    "{path} is damaged ({reason}): stop the node, keep a copy of the file for later, and put the "
    "last backup in its place with `alknet restore`"
)

# What to say, and whether the same request may succeed later. Looked up along the class's bases.
_SENTENCES: Final[dict[type[apsw.Error], tuple[str, bool]]] = {
    apsw.BusyError: (
        "another program holds a lock on {path} (an open `sqlite3` shell with a transaction, "
        "perhaps): end it; nothing of this request was kept",
        True,
    ),
    apsw.FullError: (
        "there is no room left for {path}: nothing of this request was kept; free disk space",
        True,
    ),
    apsw.ReadOnlyError: (
        "{path} cannot be written: nothing of this request was kept; check the rights of the file, "
        "its directory and the file system it is on",
        False,
    ),
    apsw.CantOpenError: (
        "{path} or a file beside it cannot be opened ({reason}); check the directory, its rights "
        "and the limit of open files",
        True,
    ),
    apsw.IOError: (
        "the disk under {path} failed ({reason}): nothing of this request was kept; look at the "
        "system's log",
        False,
    ),
    apsw.TooBigError: ("a value is longer than SQLite can keep: make it smaller", False),
    apsw.CorruptError: (_DAMAGED, False),
    apsw.NotADBError: (_DAMAGED, False),
}


def explained(error: apsw.Error, path: Path) -> CallError:
    """Return the error that a caller is told when SQLite has failed with *error* on *path*."""
    for kind in type(error).__mro__:
        if kind in _SENTENCES:
            sentence, retryable = _SENTENCES[kind]
            return Unavailable(sentence.format(path=path, reason=error), retryable=retryable)
    return Internal(f"a statement on {path} failed: {error}")
