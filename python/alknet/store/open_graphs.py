"""Graphs that have been looked up, remembered for as long as they stand as they were found.

A third of what a small write costs is to find out which graph it is in. What makes it safe to
remember is that SQLite itself says when a row of these tables changes, and how a transaction ends:
no change of a graph or type, and no rollback, has to be thought of where it is made.
"""

from typing import Final

import apsw

from alknet.store.catalogue import Catalogue, OpenGraph

_MOST: Final = 1024
_WATCHED: Final = ("graphs", "graph_types")


class OpenGraphs:
    """Finds graphs in *catalogue*, and remembers them until they may have changed.

    Either it is told so, by `forget`, or it follows what the one connection that writes does, by
    `watch`. It is used by one thread.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._found: dict[str, OpenGraph] = {}
        # Within a transaction that has changed a graph: a part of it may be undone.
        self._is_changing = False

    def find(self, connection: apsw.Connection, name: str) -> OpenGraph:
        """Return the graph called *name*.

        Raises:
            NotFound: there is none.
        """
        found = self._found.get(name)
        if found is None:
            found = self._catalogue.graph(connection, name)
            if not self._is_changing:
                if len(self._found) >= _MOST:
                    self._found.clear()
                self._found[name] = found
        return found

    def forget(self, _: apsw.Connection | None = None) -> None:
        """Look up every graph anew."""
        self._found.clear()

    def watch(self, connection: apsw.Connection) -> None:
        """Follow what *connection* changes from now on; nobody else may be following it."""
        connection.set_update_hook(self._changed)
        connection.set_commit_hook(self._committed)
        connection.set_rollback_hook(self._rolled_back)

    def _changed(self, _kind: int, _database: str, table: str, _row: int) -> None:
        if table in _WATCHED:
            self._is_changing = True
            self._found.clear()

    def _committed(self) -> bool:
        self._is_changing = False
        return False  # go on with the commit

    def _rolled_back(self) -> None:
        self._is_changing = False
        self._found.clear()
