"""Migrations: the schema's history, one numbered SQL file a step, always forward.

A step that has been released never changes; a new one follows it. The number of the last one that a
file has seen is its `user_version`. Each step is one transaction with that number, so that a crash
leaves the file at a version, never between two.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from alknet.errors import SettingsError
from alknet.store.faults import explained

_NAME: Final = re.compile(r"^(?P<number>\d{4})_(?P<name>\w+)\.sql$")


class Migration(NamedTuple):
    """One step; `number` counts from 1 without gaps."""

    number: int
    name: str
    sql: str


@cache
def history() -> Sequence[Migration]:
    """Return every step there is, in order."""
    steps = []
    for file in (resources.files("alknet.store") / "schema").iterdir():
        found = _NAME.match(file.name)
        if found is not None:
            text = file.read_text(encoding="utf-8")
            steps.append(Migration(int(found["number"]), found["name"], text))
    steps.sort()
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    return tuple(steps)


def newest() -> int:
    """Return the version that `apply` brings a file to."""
    return len(history())


def version(connection: apsw.Connection) -> int:
    """Return the number of the last step that the database has seen, 0 for a new one."""
    return int(connection.pragma("user_version"))


def apply(connection: apsw.Connection, path: Path, upto: int | None = None) -> None:
    """Bring the database to version *upto*, the newest if it is None.

    Raises:
        SettingsError: it is newer than this alknet knows, or a step failed; it is as it was, or at
            the version before that step.
    """
    refuse_newer(version(connection), path)
    for step in history()[version(connection) : upto]:
        try:
            with connection:
                for _ in connection.execute(step.sql):
                    pass
                connection.pragma("user_version", step.number)
        except apsw.Error as error:
            raise SettingsError(
                f"{path} could not be brought to version {step.number} ({step.name}), and stays at "
                f"version {step.number - 1}: {explained(error, path)}"
            ) from error


def refuse_newer(found: int, path: Path) -> None:
    """Refuse a file whose version *found* is one that this alknet does not know.

    Raises:
        SettingsError: it is.
    """
    if found > newest():
        raise SettingsError(
            f"{path} was made by a newer alknet: it has schema version {found}, and this one knows "
            f"versions up to {newest()}; install that alknet, or restore a backup made before"
        )
