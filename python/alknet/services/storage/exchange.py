"""Handlers for many records at a time."""

from collections.abc import AsyncIterator
from functools import partial

import trio

from alknet.call.context import Context
from alknet.protocol.storage import (
    AddBatch,
    Counts,
    Export,
    GraphLine,
    Import,
    Line,
)
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import exchange


class ExchangeHandlers(Storage):
    """Batches, imports and exports."""

    @handler(concurrent=True)
    async def add_batch(self, request: AddBatch, context: Context) -> Counts:
        return await self._change(
            context, lambda change: exchange.add(change, request.graph, request.records)
        )

    @handler
    async def export(self, request: Export) -> AsyncIterator[Line]:
        with self._database.snapshot() as connection:
            for line in exchange.lines(connection, self._read, request.graph):
                yield line

    @handler(concurrent=True)
    async def import_graph(
        self, request: Import, lines: AsyncIterator[Line], context: Context
    ) -> Counts:
        first: list[Line] = []
        async for line in lines:
            first.append(line)
            if isinstance(line, GraphLine) or len(first) > 1:
                break
        id, graph = await self._change(
            context, lambda change: exchange.begin_import(change, first, request.name)
        )
        try:
            counts = await self._import_records(context, id, graph, lines)
            await self._change(context, lambda change: exchange.end_import(change, id, graph))
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._database.write(partial(exchange.forget_imports, id=id))
            raise
        return counts

    async def _import_records(
        self, context: Context, id: int, graph: GraphLine, lines: AsyncIterator[Line]
    ) -> Counts:
        total = Counts(0, 0)
        is_over = False
        while not is_over:
            page: list[Line] = []
            is_over = True
            async for line in lines:
                page.append(line)
                if len(page) == exchange.PAGE:
                    is_over = False
                    break
            added = await self._change(
                context, partial(exchange.continue_import, id=id, line=graph, records=page)
            )
            total = Counts(total.nodes + added.nodes, total.edges + added.edges)
        return total
