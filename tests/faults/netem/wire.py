"""A wire between two network namespaces: `python -m tests.faults.netem.wire NEAR FAR DEVICE SEED`.

What `tc netem` does in the kernel, for kernels without it: each namespace has a TUN device, and what
goes into one comes out of the other, unless the faults that are read from stdin, a JSON object a
line, have it otherwise. `{}` is a wire without faults. It ends with its input.
"""

import ctypes
import fcntl
import heapq
import json
import os
import select
import struct
import sys
import time
from contextlib import suppress
from random import Random

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def open_device(namespace, device):
    """Return the file of the TUN *device* in *namespace*."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}", "rb") as place:
        if libc.setns(place.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    return file


class Wire:
    """Packets between two files, with *faults*: shares of one, and times in seconds."""

    def __init__(self, near, far, seed):
        self.other = {near: far, far: near}
        self.random = Random(seed)
        self.faults = {}
        self.under_way = []
        self.count = 0

    def take(self, file):
        """Pass on, or not, what waits at *file*."""
        with suppress(BlockingIOError):
            for _ in range(64):
                self.pass_on(os.read(file, 65536), self.other[file])

    def pass_on(self, packet, to):
        chance = self.random.random
        if chance() < self.faults.get("loss", 0):
            return
        hurries = chance() < self.faults.get("reorder", 0)
        delay = 0 if hurries else self.faults.get("delay", 0)
        self.count += 1
        heapq.heappush(self.under_way, (time.monotonic() + delay, self.count, packet, to))

    def deliver(self):
        """Deliver what is due, and return the seconds until the next is, None if nothing is."""
        while self.under_way and self.under_way[0][0] <= time.monotonic():
            _, _, packet, to = heapq.heappop(self.under_way)
            with suppress(OSError):  # its queue is full, or the device is down
                os.write(to, packet)
        return max(0.0, self.under_way[0][0] - time.monotonic()) if self.under_way else None


def main(near, far, device, seed):
    wire = Wire(open_device(near, device), open_device(far, device), int(seed))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([*wire.other, sys.stdin], [], [], wire.deliver())
        for each in readable:
            if each is not sys.stdin:
                wire.take(each)
            elif line := sys.stdin.readline():
                wire.faults = json.loads(line)
                print("done", flush=True)
            else:
                return


if __name__ == "__main__":
    main(*sys.argv[1:])
