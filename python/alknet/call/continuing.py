"""ContinuingClient: a handler's calls that go on when the handler is given up."""

from collections.abc import AsyncIterable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from alknet.call.client import HERE, Client
from alknet.call.context import Context
from alknet.call.continuations import Continuations
from alknet.call.items import DEFAULT_WINDOW
from alknet.call.sink import DuplexStream
from alknet.call.stream import Stream
from alknet.protocol.request import Duplex, Request, Subscription, Upload

Reply = TypeVar("Reply")
Item = TypeVar("Item")
In = TypeVar("In")
Out = TypeVar("Out")


class ContinuingClient(Client):
    """Asks what *env* asks, for the handler of *parent*, in tasks that *continuations* keeps.

    What it may ask is what *env* may. Streams are those of *env*: they end with their reader.
    """

    def __init__(self, env: Client, continuations: Continuations, parent: Context) -> None:
        self._env = env
        self._continuations = continuations
        self._parent = parent

    def with_token(self, token: str) -> Client:
        return self._env.with_token(token)

    def with_metadata(self, metadata: Mapping[str, Any]) -> Client:
        return ContinuingClient(
            self._env.with_metadata(metadata), self._continuations, self._parent
        )

    async def call(
        self, request: Request[Reply], *, node: str = HERE, timeout: float | None = None
    ) -> Reply:
        ask = partial(self._env.call, request, node=node, timeout=timeout)
        return await self._continuations.call(ask, request.__operation__.name, self._parent)

    def stream(
        self,
        request: Subscription[Item],
        *,
        node: str = HERE,
        window: int = DEFAULT_WINDOW,
        idle_timeout: float | None = None,
    ) -> Stream[Item]:
        return self._env.stream(request, node=node, window=window, idle_timeout=idle_timeout)

    async def upload(
        self,
        request: Upload[Item, Reply],
        items: AsyncIterable[Item] | Iterable[Item],
        *,
        node: str = HERE,
        timeout: float | None = None,
    ) -> Reply:
        ask = partial(self._env.upload, request, items, node=node, timeout=timeout)
        return await self._continuations.call(ask, request.__operation__.name, self._parent)

    def duplex(
        self, request: Duplex[In, Out], *, node: str = HERE, window: int = DEFAULT_WINDOW
    ) -> DuplexStream[In, Out]:
        return self._env.duplex(request, node=node, window=window)

    async def invoke(self, path: str, input: Any = None, *, timeout: float | None = None) -> Any:
        ask = partial(self._env.invoke, path, input, timeout=timeout)
        return await self._continuations.call(ask, path.removeprefix("/"), self._parent)

    def invoke_stream(
        self,
        path: str,
        input: Any = None,
        *,
        window: int = DEFAULT_WINDOW,
        idle_timeout: float | None = None,
    ) -> Stream[Any]:
        return self._env.invoke_stream(path, input, window=window, idle_timeout=idle_timeout)
