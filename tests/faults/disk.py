"""A disk that fails when it is told to: what SQLite is answered by the system, and when."""

from contextlib import contextmanager

import apsw


class FaultyDisk:
    """Counts what SQLite writes and flushes, and fails from a chosen act on until `mend`."""

    def __init__(self):
        self.mend()

    def fail(self, act, error, *, after=0):
        """Answer *error* to every *act* ("read", "write", "flush") behind the next *after*."""
        self._act, self._error, self._left = act, error, after

    def mend(self):
        """Fail no more."""
        self._act = self._error = None
        self._left = 0

    def does(self, act):
        """Take note of *act*, which is about to be done."""
        if act == self._act:
            if self._left == 0:
                raise self._error(f"the {act} was made to fail")
            self._left -= 1


class _File(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        super().__init__("unix", name, flags)
        self._disk = disk

    def xRead(self, amount, offset):
        self._disk.does("read")
        return super().xRead(amount, offset)

    def xWrite(self, data, offset):
        self._disk.does("write")
        return super().xWrite(data, offset)

    def xSync(self, flags):
        self._disk.does("flush")
        return super().xSync(flags)


class _System(apsw.VFS):
    def __init__(self, disk):
        super().__init__("faulty", "unix", makedefault=True)
        self._disk = disk

    def xOpen(self, name, flags):
        return _File(self._disk, name, flags)


@contextmanager
def faulty_disk():
    """Have what is opened within the block be on a disk that can be made to fail."""
    disk = FaultyDisk()
    system = _System(disk)
    try:
        yield disk
    finally:
        system.unregister()
