"""Frames: where those of a byte stream begin and end, so that several streams can be made one."""

from typing import Final

_LENGTH_BYTES: Final = 4


class Frames:
    """What of one stream may be handed on: with *cuts* only whole frames, else all that comes.

    A frame of more than *frame_bytes*, or of none, is handed on as it comes: whoever decodes the
    frames says what is wrong with it.
    """

    def __init__(self, frame_bytes: int, *, cuts: bool) -> None:
        self.cuts = cuts
        # Whether what was handed on ends with the end of a frame.
        self.is_between = True
        self.held_bytes = 0
        self._limit = frame_bytes
        self._held: list[bytes] = []
        self._head = b""
        self._owed = 0

    def take(self, data: bytes) -> bytes:
        """Return what may be handed on now that *data* has come; perhaps nothing."""
        end = self._ends(data)
        if not self.cuts:
            self.is_between = not (self._owed or self._head)
            return data
        if end < 0:
            self._held.append(data)
            self.held_bytes += len(data)
            return b""
        whole = b"".join((*self._held, data[:end])) if self._held else data[:end]
        rest = data[end:]
        self._held, self.held_bytes = [rest] if rest else [], len(rest)
        self.is_between = True
        return whole

    def _ends(self, data: bytes) -> int:
        """Return how much of *data* is followed by the beginning of a frame, -1 if nothing is."""
        at, size, limit = 0, len(data), self._limit
        last = -1 if self._owed or self._head else 0
        while at < size:
            if last == at and size - at >= _LENGTH_BYTES:
                # Nearly always: frame behind frame.
                length = int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
                if not 0 < length <= limit:
                    return size
                at += _LENGTH_BYTES + length
                if at > size:
                    self._owed = at - size
                    return last
                last = at
                continue
            if self._owed:
                step = min(self._owed, size - at)
                self._owed -= step
                at += step
                if not self._owed:
                    last = at
                continue
            missing = _LENGTH_BYTES - len(self._head)
            self._head += data[at : at + missing]
            at += missing
            if len(self._head) == _LENGTH_BYTES:
                length = int.from_bytes(self._head, "big")
                self._head = b""
                if not 0 < length <= limit:
                    return size
                self._owed = length
        return last
