"""Handlers for many records at a time."""

from collections.abc import AsyncIterator, Sequence
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
from alknet.services.storage.sealing import NOTHING, OPENING, SEALING, SealedHandlers
from alknet.store import exchange


class ExchangeHandlers(SealedHandlers):
    """Batches, imports and exports."""

    @handler(concurrent=True, uses=(*SEALING, *OPENING))
    async def add_batch(self, request: AddBatch, context: Context) -> Counts:
        records = await self._opened_lines(context, request.graph, request.records)
        return await self._keep(
            context,
            lambda change, seals=NOTHING: exchange.add(change, request.graph, records, seals),
        )

    @handler
    async def export(self, request: Export) -> AsyncIterator[Line]:
        with self._database.snapshot() as connection:
            for line in exchange.lines(connection, self._read, request.graph):
                yield line

    @handler(concurrent=True, uses=(*SEALING, *OPENING))
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
            # What is sealed was sealed at the place that the lines name, whatever it becomes here.
            origin = first[-1].name if isinstance(first[-1], GraphLine) else graph.name
            counts = await self._import_records(context, id, graph, origin, lines)
            await self._change(context, lambda change: exchange.end_import(change, id, graph))
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._database.write(partial(exchange.forget_imports, id=id))
            raise
        return counts

    async def _import_records(
        self,
        context: Context,
        id: int,
        graph: GraphLine,
        origin: str,
        lines: AsyncIterator[Line],
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
            records = await self._opened_lines(context, origin, page)
            added = await self._add_lines(context, id, graph, records)
            total = Counts(total.nodes + added.nodes, total.edges + added.edges)
        return total

    async def _add_lines(
        self, context: Context, id: int, graph: GraphLine, records: Sequence[Line]
    ) -> Counts:
        return await self._keep(
            context,
            lambda change, seals=NOTHING: exchange.continue_import(
                change, id, graph, records, seals
            ),
        )
