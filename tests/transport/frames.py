"""WebSocket frames made by hand (RFC 6455, section 5.2), so that wrong ones can be made too."""

from itertools import cycle

MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


def frame(opcode, payload=b"", *, fin=True, reserved=0, mask=MASK, length=None):
    """Return one frame as a client sends it.

    *reserved* are the bits RSV1 to RSV3 as a number, 4 to 1. *length* gives the length field as
    bytes, in place of the shortest right one.
    """
    size = len(payload)
    if length is None:
        if size < 126:
            length = bytes([size])
        elif size < 65536:
            length = b"\x7e" + size.to_bytes(2, "big")
        else:
            length = b"\x7f" + size.to_bytes(8, "big")
    head = bytes([fin << 7 | reserved << 4 | opcode, length[0] | (mask is not None) << 7])
    head += length[1:]
    if mask is None:
        return head + payload
    return head + mask + bytes(a ^ b for a, b in zip(payload, cycle(mask), strict=False))


def closing(code, reason=b""):
    """Return a close frame's payload."""
    return code.to_bytes(2, "big") + reason


class Reader:
    """Cuts what a server sends into frames: (opcode, payload), each checked for form."""

    def __init__(self, stream):
        self.stream = stream
        self.buffer = b""

    async def frame(self):
        """Return the next frame, or None at the end."""
        head = await self._exactly(2)
        if head is None:
            return None
        assert head[0] & 0x70 == 0, "a server of ours agrees on no extension"
        assert head[0] & 0x80, "and cuts nothing into fragments"
        assert head[1] & 0x80 == 0, "a server never masks"
        size = head[1]
        if size >= 126:
            size = int.from_bytes(await self._exactly(2 if size == 126 else 8), "big")
        return head[0] & 0x0F, await self._exactly(size)

    async def frames(self):
        """Return every frame until the connection ends."""
        found = []
        while (each := await self.frame()) is not None:
            found.append(each)
        return found

    async def _exactly(self, size):
        while len(self.buffer) < size:
            data = await self.stream.receive_some()
            if not data:
                assert not self.buffer, "the server hung up in the middle of a frame"
                return None
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data
