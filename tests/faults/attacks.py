"""Attacks on a node, from a process of their own: `python -m tests.faults.attacks NAME URL KEY`.

Each goes on until its stdin is closed; it prints a line when it has begun, and at the end how many
blows it has struck. KEY is the private key of a peer that is let in, as hex; those who need not be
let in do without.
"""

import itertools
import json
import sys
import zlib
from contextlib import suppress

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio_websocket import ConnectionClosed, HandshakeError

from ..contract.plain import plain_client

UPGRADE = (
    b"GET /alknet/call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
BATCH = 200


def framed(raw, first=b"\x82"):
    """Return *raw* as one frame of a client, whose mask is four zeros."""
    size = len(raw)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return first + length + b"\0\0\0\0" + raw


def said(type_, id_, **payload):
    return framed(json.dumps({"type": type_, "id": id_, "payload": payload}).encode())


def gigantic():
    """Return an envelope of nearly 16 MiB, of the kind that takes longest to look at."""
    start = b'{"type":"call.requested","id":"1","payload":{"operationId":"/echo/none","input":['
    return start + b"1," * (8 * 2**20 - 100) + b"1]}}"


class Attacker:
    def __init__(self, url, key):
        self.url = url
        self.private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key))
        # How many blows have been struck: connections opened, or batches of frames sent.
        self.blows = 0
        self.begun = trio.Event()

    def strike(self):
        self.blows += 1
        self.begun.set()

    async def tcp(self):
        stream = await trio.open_tcp_stream("127.0.0.1", int(self.url.rpartition(":")[2]))
        self.strike()
        return stream

    async def let_in(self, attack, *, reads=True):
        """Be let in and run `attack(stream)`, again whenever the node has hung up."""
        while True:
            try:
                async with plain_client(self.url, self.private, is_rude=True) as client:
                    self.strike()
                    async with trio.open_nursery() as nursery:
                        if reads:
                            nursery.start_soon(self.read, client)
                        await attack(client.socket._stream)
                        nursery.cancel_scope.cancel()
            except* GONE:
                pass
            await trio.sleep(0.01)

    @staticmethod
    async def read(client):
        while True:
            await client.socket.get_message()

    async def repeat(self, batches):
        """Send *batches* one after the other, for ever, reading what is answered."""

        async def attack(stream):
            for batch in itertools.cycle(batches):
                await stream.send_all(batch)
                self.strike()

        await self.let_in(attack)

    # What they do.

    async def slow_loris(self):
        async def drip(number, text):
            await trio.sleep(number / 60)
            while True:
                with suppress(*GONE, OSError):
                    async with await self.tcp() as stream:
                        for byte in text + b"\r\n" + b"\x81\x85":
                            await stream.send_all(bytes([byte]))
                            await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(drip, number, (UPGRADE, UPGRADE[:60], b"")[number % 3])

    async def flood_of_requests(self):
        """Far more than may be in flight."""
        requests = (
            said("call.requested", str(number), operationId="/echo/hold", input={})
            for number in range(20 * BATCH)
        )
        await self.repeat([b"".join(batch) for batch in batched(requests)])

    async def ids_reused(self):
        request = said("call.requested", "1", operationId="/echo/hold", input={})
        await self.repeat([request * BATCH])

    async def replies_never_asked_for(self):
        replies = [
            said("call.responded", "7", output=1),
            said("call.completed", "8"),
            said("call.credit", "9", items=2**40),
            said("call.aborted", "10"),
            said("call.item", "11", item=1),
        ]
        await self.repeat([b"".join(replies) * (BATCH // 5)])

    async def frames_that_say_nothing(self):
        """Pings, and the fragments of a message that never ends."""
        nothing = framed(b"are you there", b"\x89") + framed(b"", b"\x00")

        async def attack(stream):
            await stream.send_all(framed(b"", b"\x02"))
            while True:
                await stream.send_all(nothing * BATCH)
                self.strike()

        await self.let_in(attack)

    async def windows_never_granted(self):
        async def attack(stream):
            for number in range(50):
                await stream.send_all(
                    said(
                        "call.requested",
                        str(number),
                        operationId="/echo/count",
                        input={"to": 10**9},
                        window=1,
                    )
                )
            await trio.sleep_forever()

        await self.let_in(attack)

    async def streams_never_read(self):
        """No window named, and nothing taken from the socket."""

        async def attack(stream):
            for number in range(5):
                await stream.send_all(
                    said(
                        "call.requested",
                        str(number),
                        operationId="/echo/count",
                        input={"to": 10**9},
                    )
                )
            await trio.sleep_forever()

        await self.let_in(attack, reads=False)

    async def giant_frames(self):
        """Announced, and not allowed."""

        async def too_large(stream):
            await stream.send_all(b"\x82\xff" + (2**40).to_bytes(8, "big") + b"\0\0\0\0")
            await stream.send_all(bytes(100_000))
            await trio.sleep(0.05)

        await self.let_in(too_large)

    async def largest_frames(self):
        """As large as is allowed."""

        text = json.dumps({"text": "x" * 99_000})
        largest = (
            b'{"type":"call.requested","id":"1","payload":{"operationId":"/echo/none","input":'
        )
        await self.repeat([framed(largest + text.encode() + b"}}")])

    async def gigantic_frames(self):
        """As large as is allowed where nothing is said about it."""
        await self.repeat([framed(gigantic())])

    async def compressed_bombs(self):
        """A megabyte of zeros in a kilobyte, for whoever agrees to inflate."""
        packer = zlib.compressobj(wbits=-15)
        bomb = packer.compress(bytes(50_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
        offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"

        async def throw():
            while True:
                with suppress(*GONE, OSError):
                    async with await self.tcp() as stream:
                        await stream.send_all(UPGRADE + offer)
                        answer = await stream.receive_some()
                        assert b"permessage-deflate" not in answer, "it has agreed"
                        await stream.send_all(framed(bomb[:-4], b"\xc2"))
                        while await stream.receive_some():
                            pass
                await trio.sleep(0.05)

        await throw()

    async def half_open_links(self):
        """Let in, and then never heard of again."""

        async def link():
            while True:
                try:
                    async with plain_client(self.url, self.private, is_rude=True) as client:
                        self.strike()
                        # Nothing is read any more, so that nothing is answered either.
                        client.socket._reader_running = False
                        await trio.sleep(2)
                except* GONE:
                    pass

        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(link)

    async def garbage(self):
        """Connections that say what no WebSocket does."""

        async def throw():
            for rubbish in itertools.cycle([b"\xff" * 500, b"\x82\xff" + b"\x7f" * 8, b"GET / "]):
                with suppress(*GONE, OSError):
                    async with await self.tcp() as stream:
                        await stream.send_all(UPGRADE + b"\r\n" + rubbish)
                        while await stream.receive_some():
                            pass
                await trio.sleep(0.05)

        await throw()


ATTACKS = [
    "slow_loris",
    "garbage",
    "compressed_bombs",
    "flood_of_requests",
    "ids_reused",
    "replies_never_asked_for",
    "frames_that_say_nothing",
    "windows_never_granted",
    "streams_never_read",
    "giant_frames",
    "largest_frames",
    "half_open_links",
]
GONE = (
    ConnectionClosed,
    HandshakeError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,  # the WebSocket library answers a ping on the same stream
)


def batched(each):
    while batch := list(itertools.islice(each, BATCH)):
        yield batch


async def main(name, url, key):
    attacker = Attacker(url, key)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(getattr(attacker, name))
        await attacker.begun.wait()
        print("begun", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()
    print(attacker.blows, flush=True)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
