"""What this side of a link has asked and the other has not answered yet."""

from collections.abc import Callable
from typing import Any, Protocol

from alknet.call.items import Items
from alknet.call.measure import code_of
from alknet.call.oneshot import OneShot
from alknet.call.payload import PayloadType
from alknet.call.trace import Span
from alknet.errors import Aborted, CallError, InvalidInput, RemoteProtocolError
from alknet.wire.link import Format


class Pending(Protocol):
    """Takes the events that answer one call, until one of them ends it."""

    def responded(self, output: bytes, format: Format, /) -> bool:
        """Take an answer or an item; return whether the call is over."""
        ...

    def completed(self) -> None:
        """Take the end of a stream."""

    def failed(self, error: CallError, /) -> None:
        """Take the error that the call ends with."""

    def invited(self, items: int, /) -> None:
        """Take the peer's word that it has room for *items* more of what the caller sends."""


class PendingCall(OneShot):
    """A call that one answer ends; `wait` returns the typed reply."""

    __slots__ = ("_name", "_type")

    def __init__(self, reply: PayloadType, name: str) -> None:
        super().__init__()
        self._type = reply
        self._name = name

    def responded(self, output: bytes, format: Format) -> bool:
        try:
            self.respond(self._type.decode(output, format))
        except InvalidInput as error:
            self.fail(unpromised(self._name, error))
        return True

    def completed(self) -> None:
        self.fail(Aborted("the peer ended the call without an answer"))

    def failed(self, error: CallError) -> None:
        self.fail(error)

    def invited(self, items: int) -> None:
        """Nothing is sent after the request; an upload says otherwise."""


class PendingStream:
    """A subscription: each answer is an item, until the end or an error."""

    __slots__ = ("_name", "_stream", "_type", "give_up", "span")

    def __init__(self, stream: Items[Any], item: PayloadType, name: str) -> None:
        self._stream = stream
        self._type = item
        self._name = name
        self.give_up: Callable[[], None] = lambda: None
        self.span: Span | None = None

    def responded(self, output: bytes, format: Format) -> bool:
        stream = self._stream
        try:
            if stream.is_full:
                raise RemoteProtocolError(f"{self._name} sends more items than it was granted")
            stream.push(self._type.decode(output, format))
        except InvalidInput as misfit:
            self._refuse(unpromised(self._name, misfit))
        except RemoteProtocolError as error:
            self._refuse(error)
        return stream.is_over

    def _refuse(self, error: RemoteProtocolError) -> None:
        self.give_up()
        self.end(code_of(error))
        self._stream.finish(error)

    def end(self, code: str | None = None) -> None:
        """Let the span, if there is one, end with an error of this *code*, or without; once."""
        span, self.span = self.span, None
        if span is not None:
            span.end(code)

    async def stop(self) -> None:
        """Tell the peer that nobody reads the stream any more, unless it has ended."""
        self.give_up()
        self.end(Aborted.code)

    def completed(self) -> None:
        self.end()
        self._stream.finish()

    def failed(self, error: CallError) -> None:
        self.end(error.code)
        self._stream.finish(error)

    def invited(self, items: int) -> None:
        """Nothing is sent after the request; a duplex says otherwise."""


def unpromised(name: str, error: InvalidInput) -> RemoteProtocolError:
    """Return the error for an answer that is not of the type that the request promises."""
    return RemoteProtocolError(
        f"the answer of {name} is not what its request type promises ({error}); "
        f"are both sides of the same version?"
    )
