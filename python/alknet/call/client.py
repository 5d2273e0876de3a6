"""Client: the one way to ask, near or far.

    public = await client.call(DeriveEd25519(path="m/74'/0'/0'/0'"))
    async with client.stream(Watch(stream="nodes")) as events: ...
    output = await client.invoke("/head/secrets/derive", {"path": "m/74'/0'/0'/0'"})

The local and the remote client answer and fail alike; nothing in a caller tells them apart.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, TypeVar

import trio

from alknet.call.items import DEFAULT_WINDOW
from alknet.call.sink import DuplexStream
from alknet.call.stream import Stream
from alknet.errors import DeadlineExceeded
from alknet.protocol.request import Duplex, Request, Subscription, Upload

Reply = TypeVar("Reply")
Item = TypeVar("Item")
In = TypeVar("In")
Out = TypeVar("Out")

HERE = "head"
# In place of a node's name: whichever peer answers the operation and has the least to do.
ANY = "any"


class Client(ABC):
    """Asks operations of a node and of the peers connected to it."""

    @property
    def reconnects(self) -> bool:
        """Whether a link that is lost is opened again, so that asking later may help."""
        return False

    @property
    def is_linked(self) -> bool:
        """Whether there is a link now; what is asked without one waits for it, or fails."""
        return True

    @abstractmethod
    def with_token(self, token: str) -> "Client":
        """Return a client that calls as the owner of *token*, over the same link.

        The node verifies the token with every call; one that it does not know, or cannot verify, is
        refused with Unauthenticated, and nothing is done in this client's own name instead. A
        signed token is good for one call.

        Raises:
            Unauthenticated: this client calls within the process, where nobody looks at tokens.
            Forbidden: others could listen to the link.
        """

    @abstractmethod
    def with_metadata(self, metadata: Mapping[str, Any]) -> "Client":
        """Return a client that sends *metadata*, JSON-like, along with each call, in place of any.

        They prove nothing, and are for the handler alone: what it calls has metadata of its own.
        """

    @abstractmethod
    async def call(
        self, request: Request[Reply], *, node: str = HERE, timeout: float | None = None
    ) -> Reply:
        """Return the reply to *request*.

        *node* is the peer that shall answer; `head` is the node this client is connected to, `any`
        the peer of that node which answers the operation and has the fewest calls in flight, and
        `b/c` the peer `c` of its peer `b`.
        *timeout* is in seconds. A remote call always has one (the client's own if none is given);
        the tighter of it and the caller's deadline travels with the call. Cancelling gives the call
        up: a handler that has begun is cancelled.

        Raises:
            CallError: the operation's own answer that it did not work; see its subclasses.
            DeadlineExceeded: there was no answer within *timeout*.
            Disconnected: the link was lost, and with it the answer.
        """

    @abstractmethod
    def stream(
        self,
        request: Subscription[Item],
        *,
        node: str = HERE,
        window: int = DEFAULT_WINDOW,
        idle_timeout: float | None = None,
    ) -> Stream[Item]:
        """Return the stream that *request* asks for; enter it to begin.

        At most *window* items are on their way or unread at any time. With *idle_timeout* the
        stream ends with DeadlineExceeded when no item comes for that many seconds. A consumer in
        another process that leaves a full window unread for `stalled_seconds`, as the answering
        node has it under [limits], loses the subscription: SlowConsumer.
        """

    @abstractmethod
    async def upload(
        self,
        request: Upload[Item, Reply],
        items: AsyncIterable[Item] | Iterable[Item],
        *,
        node: str = HERE,
        timeout: float | None = None,
    ) -> Reply:
        """Send *items* along with *request*, as fast as they are read; return the reply.

        The handler may reply before it has read everything; the rest is then not asked of *items*.
        *timeout* bounds the whole call; without one, a remote call's own timeout starts anew with
        each item that is taken. Errors and cancellation are those of `call`; an error that *items*
        raises gives the call up and comes out as it is.
        """

    @abstractmethod
    def duplex(
        self, request: Duplex[In, Out], *, node: str = HERE, window: int = DEFAULT_WINDOW
    ) -> DuplexStream[In, Out]:
        """Return the two-way stream that *request* asks for; enter it to begin.

        At most *window* items are on their way or unread in either direction.
        """

    @abstractmethod
    async def invoke(self, path: str, input: Any = None, *, timeout: float | None = None) -> Any:
        """Call the operation at *path* with JSON-like *input*; return JSON-like output.

        The untyped twin of `call`: *path* reads `/{node}/{service}/{operation}`, and no input means
        an empty one. Bytes stand as base64 text.
        """

    @abstractmethod
    def invoke_stream(
        self,
        path: str,
        input: Any = None,
        *,
        window: int = DEFAULT_WINDOW,
        idle_timeout: float | None = None,
    ) -> Stream[Any]:
        """Return the stream of JSON-like items of the subscription at *path*."""


def late(name: str, timeout: float) -> DeadlineExceeded:
    """Return the error for a call that had no answer in time."""
    return DeadlineExceeded(f"{name} gave no answer within {timeout:g} s")


class Timeout:
    """A cancel scope that turns its own expiry, and only that, into DeadlineExceeded."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._scope = trio.CancelScope(deadline=trio.current_time() + seconds)

    def __enter__(self) -> trio.CancelScope:
        return self._scope.__enter__()

    def __exit__(self, *exc: Any) -> bool | None:
        swallowed = self._scope.__exit__(*exc)
        if swallowed and self._scope.cancelled_caught:
            raise late(self._name, self._seconds) from None
        return swallowed
