"""Handlers for news of what has been committed."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import apsw

from alknet.call.context import Context
from alknet.protocol.storage import (
    Acknowledge,
    Acknowledged,
    StorageEvent,
    Subscribe,
    Watch,
)
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import feed


class NewsHandlers(Storage):
    """Domain events, projected as what other nodes may know, after they are committed."""

    @handler(endless=True)
    async def watch(self, request: Watch) -> AsyncIterator[StorageEvent]:
        feed.check_stream(request.stream, feed.GRAPH_STREAMS)
        follow = self._feed.follow(request.stream, request.after, request.graph)
        async with aclosing(follow) as events:
            async for event in events:
                yield event

    @handler(endless=True)
    async def subscribe(self, request: Subscribe, context: Context) -> AsyncIterator[StorageEvent]:
        feed.check_stream(request.stream, feed.GRAPH_STREAMS)
        done = self._feed.acknowledged(_consumer(request.consumer, context), request.stream)
        follow = self._feed.follow(request.stream, max(done, request.after or 0))
        async with aclosing(follow) as events:
            async for event in events:
                yield event

    @handler(concurrent=True)
    async def acknowledge(self, request: Acknowledge, context: Context) -> Acknowledged:
        feed.check_stream(request.stream, feed.GRAPH_STREAMS)
        consumer = _consumer(request.consumer, context)

        def note(connection: apsw.Connection) -> int:
            return feed.acknowledge(connection, consumer, request.stream, request.sequence)

        return Acknowledged(await self._database.write(note))


def _consumer(name: str, context: Context) -> str:
    """Return what the caller's consumer *name* is kept as: one caller cannot move another's."""
    return f"{context.identity.id if context.identity else ''}/{name}"
