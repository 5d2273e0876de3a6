"""Handlers for edges, and for the ways over them."""

import apsw

from alknet.call.context import Context
from alknet.protocol.storage import (
    AddEdge,
    DeleteEdge,
    Edge,
    EdgePage,
    GetEdge,
    ListEdges,
    ListNeighbours,
    NeighbourPage,
    Traversal,
    Traverse,
    UpdateEdge,
)
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import edges, traversal
from alknet.store.catalogue import Catalogue


class EdgeHandlers(Storage):
    """Edges, neighbours and traversals."""

    @handler(concurrent=True)
    async def add_edge(self, request: AddEdge, context: Context) -> Edge:
        return await self._change(
            context,
            lambda change: edges.add(
                change,
                request.graph,
                request.type,
                request.source,
                request.target,
                request.attributes,
                key=request.key,
                undirected=request.undirected,
            ),
        )

    @handler(concurrent=True)
    def get_edge(self, request: GetEdge) -> Edge:
        return self._look(
            request.graph, lambda connection, graph: edges.get(connection, graph, request.key)
        )

    @handler(concurrent=True)
    def list_edges(self, request: ListEdges) -> EdgePage:
        return self._look(
            request.graph,
            lambda connection, graph: edges.page(
                connection, graph, request.type, request.after, request.limit
            ),
        )

    @handler(concurrent=True)
    async def update_edge(self, request: UpdateEdge, context: Context) -> Edge:
        return await self._change(
            context,
            lambda change: edges.update(
                change,
                request.graph,
                request.key,
                request.attributes,
                request.expected_version,
            ),
        )

    @handler(concurrent=True)
    async def delete_edge(self, request: DeleteEdge, context: Context) -> None:
        await self._change(
            context,
            lambda change: edges.delete(
                change, request.graph, request.key, request.expected_version
            ),
        )

    @handler(concurrent=True)
    def list_neighbours(self, request: ListNeighbours) -> NeighbourPage:
        return self._look(
            request.graph,
            lambda connection, graph: traversal.neighbours(
                connection,
                graph,
                request.key,
                request.direction,
                request.type,
                request.after,
                request.limit,
            ),
        )

    @handler(concurrent=True)
    async def traverse(self, request: Traverse) -> Traversal:
        def query(connection: apsw.Connection) -> Traversal:
            return traversal.traverse(
                connection,
                Catalogue().graph(connection, request.graph),
                request.start,
                request.direction,
                request.types,
                request.depth,
                request.limit,
            )

        return await self._database.read(query)
