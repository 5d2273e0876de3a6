"""The feed: what has happened, written with what happened, and read in order by whoever follows.

A domain event is a row of honker's stream table in the transaction that makes the change: both are
there, or neither is. Its offset is the event's sequence. There is one writer, so offsets grow in
the order of the commits, and who has read up to one has missed nothing before it. Rows are written
and read with SQL of our own: honker's functions prepare their statement anew for each call, which
was measured at four times the cost, and the extension, which writes when it is loaded, is not for
connections that only read.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, Literal, get_args

import apsw
import msgspec

from alknet.errors import InvalidInput
from alknet.protocol.storage.events import IdentityStream, StorageEvent, StreamName
from alknet.store.database import Database

Kind = Literal["created", "updated", "deleted"]
AnyStream = StreamName | IdentityStream
GRAPH_STREAMS: Final[tuple[StreamName, ...]] = get_args(StreamName)
STREAMS: Final[tuple[AnyStream, ...]] = (*GRAPH_STREAMS, *get_args(IdentityStream))

# How many events are read at a time: some hundred microseconds in Trio's thread.
_PAGE: Final = 128
_PRUNE_STEP: Final = 5_000
# The row of honker's consumers that says up to where events have been pruned.
_PRUNED: Final = ("alknet:pruned", "*")

_SAVED: Final = "select offset from _honker_stream_consumers where name = ? and topic = ?"
_LATEST: Final = (
    "select coalesce((select seq from sqlite_sequence where name = '_honker_stream'), 0)"
)


class _Payload(msgspec.Struct, frozen=True, array_like=True):
    kind: Kind
    graph: str | None
    key: str
    type: str
    version: int
    at: float


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_Payload).decode


def publish(
    connection: apsw.Connection,
    stream: AnyStream,
    kind: Kind,
    graph: str | None,
    key: str,
    type: str,
    version: int,
    at: float,
) -> None:
    """Write an event to *stream*, in the transaction that *connection* is in."""
    payload = _encode(_Payload(kind, graph, key, type, version, at)).decode()
    connection.execute(
        "insert into _honker_stream (topic, key, payload) values (?, ?, ?)", (stream, key, payload)
    )


def acknowledge(
    connection: apsw.Connection, consumer: str, stream: AnyStream, sequence: int
) -> int:
    """Note that *consumer* is done with *stream* up to *sequence*; return up to which it is now.

    Raises:
        InvalidInput: no event has that sequence yet.
    """
    check_stream(stream)
    latest = connection.execute(_LATEST).get
    if not 0 <= sequence <= latest:
        raise InvalidInput(
            f"event {sequence} cannot be acknowledged: the last one so far is {latest}",
            details={"field": "sequence"},
        )
    saved = (consumer, stream)
    connection.execute("select honker_stream_save_offset(?, ?, ?)", (*saved, sequence)).fetchall()
    return int(connection.execute(_SAVED, saved).get or 0)


def prune(connection: apsw.Connection, keep: int) -> int:
    """Delete events beyond the newest *keep*, some thousand at most; return how many went."""
    upto = connection.execute(_LATEST).get - keep
    if upto <= 0:
        return 0
    connection.execute(
        "delete from _honker_stream where offset in "
        "(select offset from _honker_stream where offset <= ? order by offset limit ?)",
        (upto, _PRUNE_STEP),
    )
    gone = connection.changes()
    if gone:
        oldest = connection.execute("select min(offset) from _honker_stream").get
        mark = upto if oldest is None else min(upto, oldest - 1)
        connection.execute("select honker_stream_save_offset(?, ?, ?)", (*_PRUNED, mark)).fetchall()
    return gone


def check_stream(stream: str, known: tuple[str, ...] = STREAMS) -> None:
    """Refuse the name of a stream that is not among those *known*.

    Raises:
        InvalidInput: it is none.
    """
    if stream not in known:
        raise InvalidInput(
            f"there is no stream {stream!r}; there are {', '.join(known)}",
            details={"field": "stream"},
        )


class Feed:
    """Reads the events of *database*."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self) -> int:
        """Return the sequence of the last event committed, 0 if there never was one."""
        row = self._database.row(_LATEST)
        return int(row[0]) if row else 0

    def acknowledged(self, consumer: str, stream: AnyStream) -> int:
        """Return up to which *consumer* has acknowledged *stream*; for a new one, what is gone."""
        row = self._database.row(_SAVED, (consumer, stream))
        return int(row[0]) if row else self._pruned()

    def rows(self, topic: str, after: int, limit: int = _PAGE) -> list[tuple[int, str, str]]:
        """Return what follows *after* in *topic*, at most *limit*, as sequence, key and payload.

        Raises:
            InvalidInput: events that follow *after* are no longer kept.
        """
        found = self._database.rows(
            "select offset, key, payload from _honker_stream where topic = ? and offset > ? "
            "order by offset limit ?",
            (topic, after, limit),
        )
        pruned = self._pruned()
        # `after` 0 asks for whatever is kept.
        if 0 < after < pruned:
            raise InvalidInput(
                f"events up to {pruned} are no longer kept and you have read up to {after}: "
                f"read the records anew, and follow from {pruned}",
                details={"field": "after", "oldest": pruned},
            )
        return [(sequence, key, payload) for sequence, key, payload in found]

    async def follow(
        self, stream: AnyStream, after: int | None, graph: str | None = None
    ) -> AsyncGenerator[StorageEvent, None]:
        """Yield the events of *stream* behind *after*, or from now on, each when it is committed.

        Raises:
            InvalidInput: there is no such stream, or the events behind *after* are not kept.
        """
        check_stream(stream)
        async with aclosing(self.follow_rows(stream, after)) as rows:
            async for sequence, _, payload in rows:
                event = _event(sequence, stream, payload)
                if graph is None or event.graph == graph:
                    yield event

    async def follow_rows(
        self, topic: str, after: int | None
    ) -> AsyncGenerator[tuple[int, str, str], None]:
        """Yield the events of *topic* as `rows` gives them, each when it is committed.

        Raises:
            InvalidInput: the events behind *after* are not kept, or it is still to come.
        """
        latest = self.latest()
        cursor = latest if after is None else after
        if not 0 <= cursor <= latest:
            raise InvalidInput(
                f"event {cursor} has not happened: the last one is {latest}; if the database was "
                f"restored from a backup, read the records anew and follow from there",
                details={"field": "after", "latest": latest},
            )
        while True:
            rows = self.rows(topic, cursor)
            for row in rows:
                yield row
                cursor = row[0]
            if not rows:
                await self._database.committed()

    def _pruned(self) -> int:
        row = self._database.row(_SAVED, _PRUNED)
        return int(row[0]) if row else 0


def _event(sequence: int, stream: AnyStream, text: str) -> StorageEvent:
    payload = _decode(text)
    return StorageEvent(
        sequence,
        stream,
        payload.kind,
        payload.graph,
        payload.key,
        payload.type,
        payload.version,
        payload.at,
    )
