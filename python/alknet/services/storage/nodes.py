"""Handlers for nodes."""

from alknet.call.context import Context
from alknet.protocol.storage import (
    AddNode,
    DeleteNode,
    GetNode,
    ListNodes,
    Node,
    NodePage,
    UpdateNode,
)
from alknet.runtime.service import handler
from alknet.services.storage.sealing import NOTHING, SEALING, SealedHandlers
from alknet.store import nodes


class NodeHandlers(SealedHandlers):
    """Nodes."""

    @handler(concurrent=True, uses=SEALING)
    async def add_node(self, request: AddNode, context: Context) -> Node:
        return await self._keep(
            context,
            lambda change, seals=NOTHING: nodes.add(
                change,
                request.graph,
                request.type,
                request.attributes,
                request.key,
                seals.get(0),
            ),
        )

    @handler(concurrent=True)
    def get_node(self, request: GetNode) -> Node:
        return self._look(
            request.graph, lambda connection, graph: nodes.get(connection, graph, request.key)
        )

    @handler(concurrent=True)
    def list_nodes(self, request: ListNodes) -> NodePage:
        return self._look(
            request.graph,
            lambda connection, graph: nodes.page(
                connection, graph, request.type, request.after, request.limit
            ),
        )

    @handler(concurrent=True, uses=SEALING)
    async def update_node(self, request: UpdateNode, context: Context) -> Node:
        return await self._keep(
            context,
            lambda change, seals=NOTHING: nodes.update(
                change,
                request.graph,
                request.key,
                request.attributes,
                request.expected_version,
                seals.get(0),
            ),
        )

    @handler(concurrent=True)
    async def delete_node(self, request: DeleteNode, context: Context) -> None:
        await self._change(
            context,
            lambda change: nodes.delete(
                change,
                request.graph,
                request.key,
                cascade=request.cascade,
                expected=request.expected_version,
            ),
        )
