"""Framing: DNS messages on a TCP connection, each with its length in front (RFC 1035, 4.2.2)."""

from collections.abc import Iterator
from typing import Final

_LENGTH_BYTES: Final = 2


def framed(message: bytes) -> bytes:
    """Return *message* with its length in front."""
    return len(message).to_bytes(_LENGTH_BYTES, "big") + message


class Messages:
    """Takes what comes apart into messages."""

    def __init__(self) -> None:
        self._unread = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each message that is whole now."""
        self._unread += data
        while True:
            length = int.from_bytes(self._unread[:_LENGTH_BYTES], "big")
            end = _LENGTH_BYTES + length
            if len(self._unread) < max(end, _LENGTH_BYTES):
                return
            message, self._unread = self._unread[_LENGTH_BYTES:end], self._unread[end:]
            yield message
