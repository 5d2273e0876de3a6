"""stack.toml as a node knows it: with the tables of all its services, and as it changes."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import trio

from alknet import settings as file
from alknet.errors import SettingsError
from alknet.services import available
from alknet.settings import RemoteSettings, Settings


def load(path: Path) -> Settings:
    """Return the settings in *path*, with the tables of all services that there are.

    Raises:
        SettingsError: the file cannot be read or has a fault; the message says where.
    """
    return file.load(path, shapes())


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of a stack.toml, with the tables of all services that there are."""
    return file.schema(shapes())


@runtime_checkable
class ReadWith(Protocol):
    """A table that names files which are part of what it says: those are `read_with` it."""

    @property
    def read_with(self) -> tuple[Path, ...]:
        """The files; a relative path begins beside the settings."""
        ...


def defaults() -> dict[str, Any]:
    """Return the tables of a node that runs every service with its defaults, by namespace."""
    return {name: None if shape is None else shape() for name, shape in shapes().items()}


class Stack:
    """The settings that a node was started with, and the file that they are read from anew."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Of the file as it was read last, which says what other files are looked at.
        self._latest = settings
        # What a table is read from while all of them are to be of one moment.
        self._at_hand: Settings | None = None

    def section(self, namespace: str) -> Any:
        """Return the checked table of *namespace*; from the file, if there is one, as it is now.

        Raises:
            SettingsError: the file has a fault.
        """
        settings = self._at_hand or self._reread()
        found = settings.services.get(namespace)
        if isinstance(found, RemoteSettings):
            raise SettingsError(
                f"{settings.path or 'the settings'}: {namespace} is `remote` now, and this node "
                f"runs it since it was started: restart the node"
            )
        shape = available()[namespace].settings_type
        return shape() if found is None and shape is not None else found

    @contextmanager
    def started(self) -> Iterator[None]:
        """Have every table that is asked for within be the one that the node is started with."""
        with self._as_of(self.settings):
            yield

    @contextmanager
    def reread(self) -> Iterator[Settings]:
        """Read the file, and have every table that is asked for within be of that reading.

        Raises:
            SettingsError: the file has a fault.
        """
        fresh = self._reread()
        self._latest = fresh
        with self._as_of(fresh):
            yield fresh

    @contextmanager
    def _as_of(self, settings: Settings) -> Iterator[None]:
        self._at_hand = settings
        try:
            yield
        finally:
            self._at_hand = None

    def _reread(self) -> Settings:
        path = self.settings.path
        return self.settings if path is None else load(path)

    def needs_restart(self, fresh: Settings, taken: set[str]) -> list[str]:
        """Return the tables of *fresh* that differ, but for those of the services *taken* along."""
        now = self.settings
        changed = [
            name for name in ("node", "limits", "tls") if getattr(now, name) != getattr(fresh, name)
        ]
        for name in {**now.services, **fresh.services}:
            is_turned = (name in now.services) != (name in fresh.services)
            differs = now.services.get(name) != fresh.services.get(name)
            if is_turned or (differs and name not in taken):
                changed.append(name)
        return changed

    async def watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Await *changed* each time that the file is another, or one that its tables are read with.

        Returns at once if nobody is to watch them.
        """
        path, pause = self.settings.path, self.settings.node.watch
        if path is None or not pause:
            return
        seen = self._states(path)
        while True:
            await trio.sleep(pause)
            states = self._states(path)
            if states != seen:
                await changed()
                # The settings may name other files now, whose states were read with them.
                now = self._states(path)
                seen = {file: states.get(file, state) for file, state in now.items()}

    def _states(self, path: Path) -> dict[Path, tuple[int, ...]]:
        """Return the state of *path*, and of each file that the settings name."""
        tables = self._latest.services.values()
        named = [file for each in tables if isinstance(each, ReadWith) for file in each.read_with]
        return {each: _state_of(each) for each in (path, *(path.parent / file for file in named))}


def _state_of(path: Path) -> tuple[int, ...]:
    """Return what tells one state of a file from the next; nothing if it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def shapes() -> Mapping[str, type[Any] | None]:
    """Return the type of each table of a service, by namespace; None has nothing to say."""
    found = {name: service.settings_type for name, service in available().items()}
    # The directory always runs; a table for it would have nothing to say.
    found.pop("services", None)
    return found
