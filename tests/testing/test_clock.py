"""advance: time passes in order, and no further than it was told."""

import pytest
import trio

from alknet.errors import DeadlineExceeded
from alknet.testing import advance, autojump_clock, connected, node

from .. import orphans
from ..echo import Echo, Hold


async def test_all_that_falls_due_on_the_way_happens_at_its_own_time(nursery, mock_clock):
    times = []

    async def tick(every):
        while True:
            await trio.sleep(every)
            times.append((trio.current_time(), every))

    nursery.start_soon(tick, 2)
    nursery.start_soon(tick, 3)
    await advance(6.5)

    assert sorted(times) == [(2, 2), (3, 3), (4, 2), (6, 2), (6, 3)]
    assert trio.current_time() == 6.5


async def test_what_is_due_at_the_end_has_happened(nursery, mock_clock):
    done = []

    async def once():
        await trio.sleep(5)
        done.append(True)

    nursery.start_soon(once)
    await advance(4)
    assert not done
    await advance(1)
    assert done


async def test_the_real_clock_cannot_be_pushed():
    with pytest.raises(RuntimeError, match="mock_clock"):
        await advance(1)


def test_hours_take_no_time_on_a_clock_that_jumps_and_none_are_lost_on_a_link():
    async def wait():
        began = trio.current_time()
        async with node([Echo()]) as here, connected(here, timeout=7200) as client:
            for each in (here.client, client):
                with pytest.raises(DeadlineExceeded, match="gave no answer within 3600 s"):
                    await each.call(Hold(), timeout=3600)
        return trio.current_time() - began

    assert orphans.run(wait, clock=autojump_clock()) == pytest.approx(7200, abs=10)
