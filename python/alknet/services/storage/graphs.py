"""Handlers for graph types and graphs."""

from alknet.call.context import Context
from alknet.protocol.storage import (
    CreateGraph,
    DefineType,
    DeleteGraph,
    DeleteType,
    GetGraph,
    GetType,
    Graph,
    GraphPage,
    GraphTypeRecord,
    ListGraphs,
    ListTypes,
    TypePage,
    UpdateGraph,
)
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import graphs, types


class GraphHandlers(Storage):
    """Graph types, and the graphs that are of them."""

    @handler(concurrent=True)
    async def define_type(self, request: DefineType, context: Context) -> GraphTypeRecord:
        return await self._change(
            context,
            lambda change: types.define(change, request.definition, request.expected_version),
        )

    @handler(concurrent=True)
    def get_type(self, request: GetType) -> GraphTypeRecord:
        return self._database.look(lambda connection: types.get(connection, request.name))

    @handler(concurrent=True)
    def list_types(self, request: ListTypes) -> TypePage:
        return self._database.look(
            lambda connection: types.page(connection, request.after, request.limit)
        )

    @handler(concurrent=True)
    async def delete_type(self, request: DeleteType, context: Context) -> None:
        await self._change(
            context, lambda change: types.delete(change, request.name, request.expected_version)
        )

    @handler(concurrent=True)
    async def create_graph(self, request: CreateGraph, context: Context) -> Graph:
        return await self._change(
            context,
            lambda change: graphs.create(
                change,
                request.name,
                request.type,
                description=request.description,
                metadata=request.metadata,
                status=request.status,
            ),
        )

    @handler(concurrent=True)
    def get_graph(self, request: GetGraph) -> Graph:
        return self._database.look(lambda connection: graphs.get(connection, request.graph))

    @handler(concurrent=True)
    def list_graphs(self, request: ListGraphs) -> GraphPage:
        return self._database.look(
            lambda connection: graphs.page(connection, request.after, request.limit, request.owner)
        )

    @handler(concurrent=True)
    async def update_graph(self, request: UpdateGraph, context: Context) -> Graph:
        return await self._change(
            context,
            lambda change: graphs.update(
                change,
                request.graph,
                description=request.description,
                metadata=request.metadata,
                status=request.status,
                expected=request.expected_version,
            ),
        )

    @handler(concurrent=True)
    async def delete_graph(self, request: DeleteGraph, context: Context) -> None:
        await self._change(
            context,
            lambda change: graphs.delete(
                change,
                request.graph,
                cascade=request.cascade,
                expected=request.expected_version,
            ),
        )
