"""Freshness: whether what was read of identities and rights may be another by now."""

from typing import Final

from alknet.store.database import Database

_NEWEST: Final = (
    "select max(coalesce((select max(offset) from _honker_stream where topic = 'identities'), 0), "
    "coalesce((select max(offset) from _honker_stream where topic = 'rights'), 0))"
)


class Freshness:
    """Tells one who remembers something of *database* when to forget it; used in Trio's thread.

    Events are written with the change that they tell of, so that nothing outdated is used once a
    change has been acknowledged. Another process may have changed a row and told nobody, from a
    `sqlite3` shell say: whatever it has committed counts as a change.
    """

    __slots__ = ("_commits", "_database", "_seen")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commits = -1
        self._seen = (-1, -1)

    def is_lost(self) -> bool:
        """Whether something may have changed since this was last asked; true the first time."""
        database = self._database
        if database.commits == self._commits:
            return False
        commits = database.commits
        row = database.row(_NEWEST)
        seen = (int(row[0]) if row else 0, database.foreign_commits)
        before, self._commits, self._seen = self._seen, commits, seen
        return seen != before
