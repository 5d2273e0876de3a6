"""Change: one transaction on the graphs, who makes it, and what it will be known by."""

import secrets
import time
from typing import Any

import apsw

from alknet.errors import Conflict
from alknet.store import audit
from alknet.store.catalogue import Catalogue, OpenGraph
from alknet.store.feed import AnyStream, publish
from alknet.store.open_graphs import OpenGraphs


class Change:
    """A transaction under way. `by` is the id of who asked, `now` its time in Unix seconds.

    *graphs* remembers graphs of this *catalogue*, for who makes many changes.
    """

    __slots__ = ("_graphs", "by", "catalogue", "connection", "now")

    def __init__(
        self,
        connection: apsw.Connection,
        catalogue: Catalogue,
        by: str | None,
        graphs: OpenGraphs | None = None,
    ) -> None:
        self.connection = connection
        self.catalogue = catalogue
        self.by = by
        self.now = time.time()
        self._graphs = graphs

    def graph(self, name: str) -> OpenGraph:
        """Return the graph called *name*, which can be changed.

        Raises:
            NotFound: there is none.
            Conflict: it is archived.
        """
        if self._graphs is None:
            return self.catalogue.graph(self.connection, name).writable()
        return self._graphs.find(self.connection, name).writable()

    def audit(self, action: str, subject: str, **details: Any) -> None:
        """Note in the audit log, with this transaction, what its maker does."""
        audit.record(self.connection, self.by, action, subject, details, self.now)

    def created(self, stream: AnyStream, key: str, type: str, *, graph: str | None = None) -> None:
        """Tell, with this transaction, of a record that it made."""
        publish(self.connection, stream, "created", graph, key, type, 1, self.now)

    def updated(
        self, stream: AnyStream, key: str, type: str, version: int, *, graph: str | None = None
    ) -> None:
        """Tell, with this transaction, of a record that is now at *version*."""
        publish(self.connection, stream, "updated", graph, key, type, version, self.now)

    def deleted(
        self, stream: AnyStream, key: str, type: str, version: int, *, graph: str | None = None
    ) -> None:
        """Tell, with this transaction, of a record that was at *version* and is gone."""
        publish(self.connection, stream, "deleted", graph, key, type, version, self.now)

    def new_key(self) -> str:
        """Return a key that nobody has; later ones sort behind earlier ones, mostly."""
        # Neighbours in time are neighbours in the file, so that adding many touches few pages.
        return f"{int(self.now * 1e6):016x}{secrets.token_hex(8)}"


def expect(what: str, name: str, version: int, expected: int | None) -> None:
    """Refuse to change a record that is not at the version *expected*, if one is.

    Raises:
        Conflict: it has been changed since the caller read it.
    """
    if expected is not None and expected != version:
        raise Conflict(
            f"the {what} {name!r} is at version {version}, not {expected}: it has been changed "
            f"since you read it; read it anew",
            details={"version": version},
        )
