"""New files, private to their owner, all of them or none."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from alknet.cli.failure import Failure


def publish(
    files: Mapping[Path, str], *, overwrites: bool, alone: Mapping[Path, str] | None = None
) -> None:
    """Write *files*, and *alone*, with mode 600; directories that are missing are made.

    What is there already is kept, and an error, unless *overwrites*; even then what *alone* names.
    The new files appear at once, whole; if one cannot be written, none does.

    Raises:
        Failure: a file is there already, or cannot be written.
    """
    kept = set(alone or ()) if overwrites else {*files, *(alone or ())}
    for path in sorted(kept):
        if os.path.lexists(path):
            raise Failure(f"{path} is there already and was left as it is{_way_out(path, files)}")
    written: dict[Path, Path] = {}
    placed: list[Path] = []
    try:
        for path, text in {**files, **(alone or {})}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            written[path] = _write_beside(path, text)
        for path, temporary in written.items():
            if path in kept:
                # Unlike a rename, a link refuses to take the place of a file made meanwhile.
                os.link(temporary, path)
                placed.append(path)
            else:
                temporary.replace(path)
    except OSError as error:
        for path in placed:
            path.unlink()
        where = error.filename2 or error.filename or ""
        why = (error.strerror or str(error)).lower()
        raise Failure(f"cannot write {where}: {why}; nothing was made") from None
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)


def _way_out(path: Path, files: Mapping[Path, str]) -> str:
    return ": name another directory, or use --force" if path in files else ""


def _write_beside(path: Path, text: str) -> Path:
    """Write *text* to a new file in the directory of *path*, with mode 600; return its name."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return Path(name)
