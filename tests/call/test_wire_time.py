"""Deadlines on the wire: Unix time, which is the wall's, or a test's that moves its own clock."""

import time

import pytest
import trio

from alknet.call.wire_time import GRACE_MS, local_deadline, wire_deadline


@pytest.fixture
def later(monkeypatch):
    """A function that lets a hundred seconds pass on the wall's clock."""
    now = time.time

    def pass_():
        monkeypatch.setattr(time, "time", lambda: now() + 100)

    return pass_


async def test_real_time_that_passes_on_the_way_is_gone(later):
    deadline = wire_deadline(trio.current_time() + 10)
    later()

    left = local_deadline(deadline) - trio.current_time()
    assert left == pytest.approx(10 - 100, abs=1)


async def test_on_a_clock_that_a_test_moves_only_its_own_time_passes(later, mock_clock):
    deadline = wire_deadline(trio.current_time() + 10)
    later()
    mock_clock.jump(3)

    left = local_deadline(deadline) - trio.current_time()
    assert left == pytest.approx(7 + GRACE_MS / 1000, abs=0.001)
