"""Two ends of a link over each road there is, opened as nodes open them."""

from contextlib import asynccontextmanager
from functools import partial

import trio

from alknet.keys import Ed25519Key
from alknet.transport import road, tcp
from alknet.transport.gate import Gate
from alknet.transport.memory import memory_pair
from alknet.transport.messages import MessageLink
from alknet.transport.trust import Trust
from alknet.transport.websocket import upgrade
from alknet.wire.limits import DEFAULT_LIMITS

# On the last one each envelope is a message, which is how clients that are not ours call.
ROADS = ["memory", "tcp", "tls", "quic", "ssh", "ws", "wss", "ws-plain", "dns"]
# Those whose connection can be cut from one end as a killed process would.
CONNECTIONS = ["tcp", "tls", "quic", "ssh", "ws", "wss", "ws-plain"]
ENCRYPTED = ["tls", "quic", "ssh", "wss", "dns"]
# By how much less goes over a slow road in the same test, and what stands behind the port in a URL.
SHARE = {"dns": 256}
PATHS = {"dns": "/tunnel.example"}

NEAR_KEY = Ed25519Key.from_private_key(bytes([1]) * 32)
FAR_KEY = Ed25519Key.from_private_key(bytes([2]) * 32)
GATE = Gate(key=lambda: FAR_KEY)
TRUST = Trust.of(NEAR_KEY, FAR_KEY.public_key)


class Ends:
    """Two ends of a link: `near` has dialled, `far` was dialled.

    A slow road is given one in `share` of what others are.
    """

    def __init__(self, near, far, share=1):
        self.near = near
        self.far = far
        self.share = share

    @property
    def both(self):
        """Each end with the other."""
        return [(self.near, self.far), (self.far, self.near)]


def url_of(scheme):
    """Return a URL at which a node can listen on loopback."""
    return f"{scheme}://127.0.0.1:0{PATHS.get(scheme, '')}"


@asynccontextmanager
async def link_over(name, *, limits=DEFAULT_LIMITS, format="json"):
    """Open a link over the road called *name* and yield its ends."""
    if name == "memory":
        near, far = memory_pair()
        near.format = far.format = format
        yield Ends(near, far)
        return
    arrived, arriving = trio.open_memory_channel(1)

    async def serve(link):
        # Over TCP the format is agreed in the handshake, which comes later.
        link.format = format
        await arrived.send(link)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        url = url_of(name.removesuffix("-plain"))
        url = await nursery.start(_listening, url, serve, limits)
        dial = _dial_plain if name == "ws-plain" else partial(road.dial, trust=TRUST)
        near = await dial(nursery, url, limits=limits, format=format)
        assert near.framed is (name != "ws-plain")
        far = await arriving.receive()
        try:
            yield Ends(near, far, SHARE.get(name, 1))
        finally:
            with trio.CancelScope(shield=True):
                # A WebSocket that nobody reads would wait for its farewell to be answered.
                for link in (near, far):
                    if isinstance(link, MessageLink):
                        await link._below.aclose()
                await near.aclose()
            nursery.cancel_scope.cancel()


async def _listening(url, serve, limits, *, task_status):
    await road.listen(url, serve, limits=limits, gate=GATE, task_status=task_status)


async def _dial_plain(nursery, url, *, limits, format):
    below = await tcp.dial(nursery, url, limits=limits)
    return await upgrade(below, url, [f"alknet.{format}"], limits)
