"""What it takes to test programs that embed alknet, and what our own tests are made of.

    import alknet.testing

    async def test_the_clock_tells_the_time():
        async with (
            alknet.testing.node([Clock()]) as node,
            alknet.testing.connected(node, scopes=["clock:read"]) as client,
        ):
            assert await client.call(Now()) > 0

Nothing here is a mock. The node is a node; the client's link runs within the process, and the
handshake, the access check, the encoding and the flow control on it are the real ones. `FaultyRoad`
makes links go wrong on purpose, the same way each time; `no_orphans` fails if a task outlives the
block it stands around; `autojump_clock` waits for nothing, and `advance` lets a mock clock's time
pass in order.
"""

from alknet.testing.clock import advance, autojump_clock
from alknet.testing.delay import DelayedLink
from alknet.testing.faults import Fault, Faults, FaultyLink
from alknet.testing.nodes import connected, introduce, node, road_to
from alknet.testing.people import PHRASE, key, keyring
from alknet.testing.roads import FaultyRoad
from alknet.testing.tasks import no_orphans
from alknet.transport.memory import MemoryLink, memory_pair

__all__ = [
    "PHRASE",
    "DelayedLink",
    "Fault",
    "Faults",
    "FaultyLink",
    "FaultyRoad",
    "MemoryLink",
    "advance",
    "autojump_clock",
    "connected",
    "introduce",
    "key",
    "keyring",
    "memory_pair",
    "no_orphans",
    "node",
    "road_to",
]
