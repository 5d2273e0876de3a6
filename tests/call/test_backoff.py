"""Backoff: pauses double up to a bound, and no two that fell together rise together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.call.backoff import FIRST_PAUSE, LONGEST_PAUSE, backoff


@pytest.mark.parametrize(
    ("failures", "longest"),
    [
        (1, FIRST_PAUSE),
        (2, 2 * FIRST_PAUSE),
        (3, 4 * FIRST_PAUSE),
        (7, 64 * FIRST_PAUSE),
        (9, LONGEST_PAUSE),
        (5000, LONGEST_PAUSE),
    ],
)
def test_a_pause_doubles_with_each_failure_up_to_the_longest(failures, longest):
    pauses = [backoff(failures) for _ in range(500)]

    assert longest * 0.9 < max(pauses) <= longest
    assert longest * 0.5 <= min(pauses) < longest * 0.6


@given(st.integers(1, 10**6), st.floats(0.001, 10), st.floats(10, 1000))
def test_every_pause_is_within_its_bounds(failures, first, longest):
    assert 0 < backoff(failures, first=first, longest=longest) <= longest


def test_two_that_fail_together_do_not_come_back_together():
    assert len({backoff(5) for _ in range(100)}) == 100
