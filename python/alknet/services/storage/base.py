"""What every part of the service needs: the open database, and a way into it for each direction."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Generic, Self, TypeVar

import apsw
import msgspec
import structlog
import trio

from alknet.call.context import Context
from alknet.errors import Unavailable
from alknet.runtime.host import Host
from alknet.runtime.service import Service
from alknet.store import exchange, feed
from alknet.store.catalogue import Catalogue, OpenGraph
from alknet.store.change import Change
from alknet.store.connection import Check, Synchronous
from alknet.store.database import Database, open_database
from alknet.store.feed import Feed
from alknet.store.open_graphs import OpenGraphs
from alknet.store.others import notice_others

log = structlog.get_logger("alknet.storage")

T = TypeVar("T")

# How often old events are looked for; between, they only take up room.
_PRUNE_SECONDS = 60.0


class StorageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [storage] of stack.toml.

    `path` is the database file, beside stack.toml if it is relative; without one the node has a
    temporary file that goes when it stops.
    With `synchronous` "normal" what is acknowledged survives any end of the process; with "full"
    that of the machine too, at the cost of a flush for each commit. `check` says how the file is
    looked through at each start. `keep_events` is how many events can be resumed from.
    """

    path: str | None = None
    synchronous: Synchronous = "normal"
    check: Check = "quick"
    keep_events: Annotated[int, msgspec.Meta(ge=1000)] = 1_000_000

    def located(self, folder: Path) -> Path | None:
        """Return the path of the database, read from *folder*; None for a temporary one."""
        return None if self.path is None else folder / self.path


class _Deed(Generic[T]):
    """A change as a transaction.

    A closure would do, and be six objects for the collector of cycles to look at, which showed.
    """

    __slots__ = ("_by", "_catalogue", "_change", "_graphs")

    def __init__(
        self,
        change: Callable[[Change], T],
        catalogue: Catalogue,
        by: str | None,
        graphs: OpenGraphs,
    ) -> None:
        self._change = change
        self._catalogue = catalogue
        self._by = by
        self._graphs = graphs

    def __call__(self, connection: apsw.Connection) -> T:
        return self._change(Change(connection, self._catalogue, self._by, self._graphs))


class Storage(Service):
    """An open database with its feed; the handlers are in the classes that derive from it."""

    settings_type = StorageSettings

    def __init__(self, settings: StorageSettings, host: Host) -> None:
        self._host = host
        self._settings = settings
        self._path = settings.located(host.folder)
        self._database: Database
        self._feed: Feed
        # One for each side, since it belongs to a thread: the writer's and Trio's.
        self._written = Catalogue()
        self._read = Catalogue()
        self._written_graphs: OpenGraphs
        self._read_graphs: OpenGraphs
        self._read_at = 0

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.section(cls.namespace), host)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        settings = self._settings
        with _place(self._path) as path:
            async with open_database(
                path, synchronous=settings.synchronous, check=settings.check
            ) as database:
                self._database = database
                self._feed = Feed(database)
                self._host.lend(database)
                self._written_graphs = OpenGraphs(self._written)
                self._read_graphs = OpenGraphs(self._read)
                await database.write(self._written_graphs.watch)
                await database.write(exchange.forget_imports)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._keep_pruned)
                    nursery.start_soon(notice_others, database, self._written_graphs.forget)
                    yield
                    nursery.cancel_scope.cancel()

    async def _change(self, context: Context, change: Callable[[Change], T]) -> T:
        """Return what *change* does, on behalf of the caller, once it is committed."""
        by = context.identity.id if context.identity else None
        return await self._database.write(_Deed(change, self._written, by, self._written_graphs))

    async def _keep_pruned(self) -> None:
        """Delete old events now and then, a few at a time so that writers need not wait."""
        prune = partial(feed.prune, keep=self._settings.keep_events)
        while True:
            try:
                while await self._database.write(prune):
                    pass
            except Unavailable as error:
                # Whoever writes is told the same; the room is missing, not the news.
                log.warning("events not pruned", why=str(error))
            await trio.sleep(_PRUNE_SECONDS)

    def _look(self, graph: str, query: Callable[[apsw.Connection, OpenGraph], T]) -> T:
        """Return what *query* finds, at once, in the graph called *graph*."""
        database, graphs = self._database, self._read_graphs
        if database.commits != self._read_at:
            graphs.forget()
            self._read_at = database.commits
        return database.look(lambda connection: query(connection, graphs.find(connection, graph)))


@contextmanager
def _place(path: Path | None) -> Iterator[Path]:
    """Give the path of the database file; a temporary one is removed afterwards."""
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="alknet-") as directory:
        yield Path(directory) / "alknet.db"
