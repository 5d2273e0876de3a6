"""What a session does with a call of the peer's that is being answered."""

from typing import Protocol

from alknet.wire.link import Format


class Inbound(Protocol):
    """A call of the peer's that is being answered."""

    def cancel(self) -> None:
        """Stop: the peer has given the call up."""

    def credit(self, items: int, /) -> None:
        """Go on: the peer has room for *items* more."""

    def item(self, item: bytes, format: Format, /) -> None:
        """Take an item of the peer's upload or duplex."""

    def finished(self) -> None:
        """Note that the peer will send no more items."""
