"""Elsewhere: a service of this node that another node runs, as `remote` in its table says.

Its operations are registered here as those of a service that runs here are: listed, checked against
the caller, measured, traced and composed alike. Each call goes over one link, which is dialled over
TLS and kept, on behalf of the caller; the other node makes its own check. While there is no link,
calls fail at once.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

import msgspec
import trio

from alknet.call.context import Context
from alknet.call.declared import NOTHING
from alknet.call.operation import operation_type
from alknet.call.remote import DEFAULT_TIMEOUT, RemoteClient
from alknet.call.sink import send_all
from alknet.errors import Disconnected, Forbidden, Unauthenticated, UnknownCode
from alknet.identity import Identity
from alknet.protocol.request import Duplex, Kind, Request, Subscription, Upload
from alknet.runtime.background import open_background
from alknet.runtime.beside import beside
from alknet.runtime.derived import Derived
from alknet.runtime.linked import LinkedNode
from alknet.runtime.service import Handler, Service

# How long a node that starts waits for the first link, so that those who call at once find it.
_FIRST_LINK_SECONDS: Final = 1.0
_FORWARD: Final = "identity:forward"


class Elsewhere(Service):
    """Stands in this node for *service*, which *node* runs.

    Who calls as *itself* calls in the name that this node has over there. What is about this node
    itself, *at_home* answers. *derived* keeps what may be told again.
    """

    def __init__(
        self,
        service: type[Service],
        node: LinkedNode,
        *,
        itself: Identity,
        at_home: Service | None = None,
        derived: Derived | None = None,
    ) -> None:
        self.namespace = service.namespace
        # What is internal here is internal there: nobody who comes over a link may call it.
        self.handlers = tuple(
            _standing_for(each)
            if at_home is None or each.request_type not in service.at_home
            else _answered_by(at_home, each)
            for each in service.handlers
            if operation_type(each.request_type).spec.visibility == "external"
        )
        self._node = node
        self._itself = itself
        self._at_home = at_home
        self._derived = derived
        self._nursery: trio.Nursery | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if self._at_home is not None:
                await stack.enter_async_context(self._at_home.running())
            self._nursery = nursery = await stack.enter_async_context(open_background())
            nursery.start_soon(self._node.keep)
            if self._derived is not None:
                nursery.start_soon(self._derived.follow, self._node)
            with trio.move_on_after(_FIRST_LINK_SECONDS):
                await self._node.tried()
            yield

    def _client(self, context: Context) -> RemoteClient:
        """Return a client that asks for the caller of *context*."""
        caller = context.identity
        if caller is None:
            # Asked in nobody's name, it would count as a wish of this node's own.
            raise Unauthenticated(
                f"{context.spec.name} wants to know who calls: authenticate first"
            )
        session = self._node.asked(context.spec.name)
        is_own = caller is self._itself
        if not (is_own or Identity("", self._node.scopes).has(_FORWARD)):
            # It would take the call as ours, with all that we may do there.
            raise Forbidden(
                f"{context.spec.name} is answered by {self._node}, where this node may not speak "
                f"for others: give it the scope {_FORWARD!r} there"
            )
        left = context.deadline - trio.current_time()
        client = RemoteClient(
            session,
            timeout=DEFAULT_TIMEOUT if left == math.inf else left,
            on_behalf_of=None if is_own else caller,
            parent=context,
        )
        return client if context.metadata is None else client.with_metadata(context.metadata)

    @contextmanager
    def _told(self, context: Context) -> Iterator[None]:
        """Have an error of the other node be one that our caller can make something of."""
        try:
            yield
        except Disconnected as error:
            raise Disconnected(
                f"{self._node} has gone while it answered {context.spec.name}: {error.message}",
                retryable=error.retryable,
            ) from None
        except UnknownCode as error:
            # Whether the code means anything is for the caller to know.
            raise error.sent from None

    async def ask(self, request: Request[Any], context: Context) -> Any:
        """Have a query or a mutation answered over there."""
        derived = self._derived
        if derived is None:
            with self._told(context):
                return await self._client(context).call(request)
        known = derived.get(request, context.identity)
        if known is not None:
            return known
        generation = derived.generation
        with self._told(context):
            answer = await self._client(context).call(request)
        derived.put(request, context.identity, answer, generation)
        return answer

    async def follow(self, request: Subscription[Any], context: Context) -> AsyncIterator[Any]:
        """Yield what a subscription over there does; its reader's pace is kept."""
        with self._told(context):
            async with self._client(context).stream(request) as items:
                async for item in items:
                    yield item

    async def pour(
        self, request: Upload[Any, Any], items: AsyncIterator[Any], context: Context
    ) -> Any:
        """Pass an upload on."""
        with self._told(context):
            return await self._client(context).upload(request, items)

    async def converse(
        self, request: Duplex[Any, Any], items: AsyncIterator[Any], context: Context
    ) -> AsyncIterator[Any]:
        """Pass both directions of a duplex on, each at its reader's pace."""
        assert self._nursery is not None
        with self._told(context):
            async with self._client(context).duplex(request) as stream:
                assert stream.sink is not None
                with beside(self._nursery, send_all, items, stream.sink):
                    async for item in stream:
                        yield item


_BY_KIND: Final[Mapping[Kind, Callable[..., Any]]] = {
    "query": Elsewhere.ask,
    "mutation": Elsewhere.ask,
    "subscription": Elsewhere.follow,
    "upload": Elsewhere.pour,
    "duplex": Elsewhere.converse,
}


def _standing_for(handler: Handler) -> Handler:
    """Return what answers here in place of *handler*, which runs elsewhere."""
    return msgspec.structs.replace(
        handler,
        function=_BY_KIND[operation_type(handler.request_type).spec.kind],
        concurrent=True,
        # What it composes and needs it has over there.
        declared=NOTHING,
        is_async=not handler.is_stream,
        wants_context=True,
    )


def _answered_by(service: Service, handler: Handler) -> Handler:
    """Return *handler* as *service* has it, which is not the one that is asked."""

    def function(_: Elsewhere, *arguments: Any) -> Any:
        return handler.function(service, *arguments)

    return msgspec.structs.replace(handler, function=function)
