"""Token buckets: a rate holds in the long run, a burst at once, and no table grows for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.quota.bucket import Buckets


def taken(buckets, key, now, tries):
    """Return how many of *tries* at the same moment get a token."""
    return sum(buckets.take(key, now) == 0 for _ in range(tries))


@pytest.mark.parametrize(
    ("rate", "burst", "at_once"),
    [(10, 1.0, 10), (10, 2.0, 20), (10, 0.5, 5), (1, 1.0, 1), (1, 0.1, 1), (1000, 0.01, 10)],
)
def test_a_full_bucket_holds_a_burst_and_at_least_one(rate, burst, at_once):
    assert taken(Buckets(rate, burst), "a", 5.0, 1000) == at_once


def test_it_fills_at_its_rate_and_no_higher_than_full():
    buckets = Buckets(10, 1.0)
    taken(buckets, "a", 0.0, 10)

    assert taken(buckets, "a", 0.25, 10) == 2
    assert taken(buckets, "a", 0.3, 10) == 1
    assert taken(buckets, "a", 100.0, 100) == 10


def test_who_waits_as_long_as_told_gets_a_token_and_who_does_not_gets_none():
    buckets = Buckets(4, 1.0)
    taken(buckets, "a", 0.0, 4)
    wait = buckets.take("a", 0.0)

    assert wait == pytest.approx(0.25)
    assert buckets.take("a", wait * 0.99) > 0
    assert buckets.take("a", wait) == 0


def test_keys_do_not_touch_each_other():
    buckets = Buckets(1, 1.0)
    assert buckets.take("a", 0.0) == 0
    assert buckets.take("b", 0.0) == 0


def test_of_more_keys_than_are_remembered_the_oldest_is_forgotten():
    buckets = Buckets(1, 10.0, remembered=3)
    for key in ("a", "b", "a", "c", "d"):
        buckets.take(key, 0.0)

    assert len(buckets) == 3
    assert taken(buckets, "b", 0.0, 100) == 10
    assert taken(buckets, "d", 0.0, 100) == 9


@given(
    st.integers(1, 100),
    st.floats(0.1, 5.0),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=200),
)
def test_in_no_stretch_of_time_more_come_through_than_a_burst_and_the_rate(rate, burst, pauses):
    buckets, now, passed = Buckets(rate, burst), 0.0, []
    for pause in pauses:
        now += pause
        if buckets.take("a", now) == 0:
            passed.append(now)

    for start in range(len(passed)):
        for end in range(start, len(passed)):
            seconds = passed[end] - passed[start]
            assert end - start + 1 <= max(1, rate * burst) + rate * seconds + 1e-6
