"""Refusal: the goodbye of SSH, said before there is anything to encrypt it with."""

import socket
from typing import Final

import trio

from alknet.transport.ssh.keys import string

VERSION: Final = b"SSH-2.0-alknet\r\n"
_DISCONNECT: Final = 1
# RFC 4253, section 11.1: SSH_DISCONNECT_SERVICE_NOT_AVAILABLE
SERVICE_NOT_AVAILABLE: Final = 7
_BLOCK_BYTES: Final = 8
_LEAST_PADDING: Final = 4
_LEAVING_SECONDS: Final = 1.0


def goodbye(reason: str) -> bytes:
    """Return a whole conversation that says *reason*: a version, and SSH_MSG_DISCONNECT."""
    payload = b"".join((
        bytes((_DISCONNECT,)),
        SERVICE_NOT_AVAILABLE.to_bytes(4, "big"),
        string(reason.encode()),
        string(b""),
    ))  # fmt: skip
    padding = _BLOCK_BYTES - (5 + len(payload)) % _BLOCK_BYTES
    padding += _BLOCK_BYTES if padding < _LEAST_PADDING else 0
    length = 1 + len(payload) + padding
    return VERSION + length.to_bytes(4, "big") + bytes((padding,)) + payload + bytes(padding)


async def turn_away(connection: socket.socket, reason: str) -> None:
    """Tell whoever is at the other end of *connection* why there is none, and close it."""
    with trio.socket.from_stdlib_socket(connection) as peer, trio.move_on_after(_LEAVING_SECONDS):
        try:
            await peer.send(goodbye(reason))
            peer.shutdown(trio.socket.SHUT_WR)
            # What is read is not reset: a reset would take the reason away with it.
            while await peer.recv(4096):
                pass
        except OSError:
            return
