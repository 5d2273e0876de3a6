"""TCP links; what they share with every other is in tests/contract."""

import socket

import pytest

from alknet.wire.limits import Limits

from ..contract.roads import link_over


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="not an option of this system")
@pytest.mark.parametrize("seconds", [0.1, 10.0, 45.0, 600.0])
async def test_the_kernel_watches_over_links_that_are_idle(seconds):
    """It probes, and gives up, within `silence_seconds` or the shortest time it knows."""
    async with link_over("tcp", limits=Limits(silence_seconds=seconds)) as ends:
        for link in (ends.near, ends.far):
            read = link._socket.getsockopt
            assert read(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, between, probes = (
                read(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )

            assert idle + between * probes <= max(seconds, 1 + probes)
