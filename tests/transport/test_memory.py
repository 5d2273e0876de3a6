"""Memory links; what they share with every other is in tests/contract."""

import pytest
import trio

from alknet.transport.memory import memory_pair


async def test_at_most_the_capacity_waits_unread(autojump_clock):
    near, far = memory_pair(capacity=3)
    sent = []
    with trio.move_on_after(1):
        for number in range(10):
            await near.send([b"%d" % number])
            sent.append(number)

    assert sent == [0, 1, 2]
    assert await far.receive() == b"0"


async def test_the_ends_have_names():
    near, far = memory_pair()

    assert {near.peer_address, far.peer_address} == {"memory:a", "memory:b"}


@pytest.mark.parametrize("end", [0, 1])
async def test_closing_one_end_leaves_nothing_of_the_other_open(end):
    ends = memory_pair()
    await ends[end].aclose()

    assert await ends[1 - end].receive() == b""
