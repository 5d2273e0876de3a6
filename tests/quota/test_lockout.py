"""Lockouts: who fails too often is not listened to, each time for longer."""

import pytest

from alknet.quota.lockout import Lockouts


def fail(lockouts, now, times=3, key="a"):
    """Fail *times* at the same moment; return the lockout that the last brings."""
    return [lockouts.failed(key, now) for _ in range(times)][-1]


def test_only_the_last_attempt_locks_out():
    lockouts = Lockouts(3, 60, 3600)

    assert [lockouts.failed("a", 0.0) for _ in range(3)] == [0, 0, 60]
    assert lockouts.remaining("a", 0.0) == 60
    assert lockouts.remaining("a", 59.5) == 0.5
    assert lockouts.remaining("a", 60.0) == 0
    assert lockouts.remaining("b", 0.0) == 0


def test_each_further_lockout_lasts_twice_as_long_up_to_the_longest():
    lockouts, now, lasted = Lockouts(3, 60, 300), 0.0, []
    for _ in range(5):
        lasted.append(fail(lockouts, now))
        now += lasted[-1]

    assert lasted == [60, 120, 240, 300, 300]


def test_a_success_forgets_failures_and_not_lockouts():
    lockouts = Lockouts(3, 60, 3600)
    fail(lockouts, 0.0, 2)
    lockouts.passed("a")
    assert fail(lockouts, 1.0, 2) == 0
    assert fail(lockouts, 1.0, 1) == 60
    lockouts.passed("a")
    assert fail(lockouts, 70.0) == 120


@pytest.mark.parametrize(("after", "lasts"), [(3599, 120), (3661, 60)])
def test_a_long_time_without_a_failure_begins_anew(after, lasts):
    lockouts = Lockouts(3, 60, 3600)
    fail(lockouts, 0.0)

    assert fail(lockouts, float(after)) == lasts


def test_without_a_number_of_attempts_nobody_is_locked_out():
    lockouts = Lockouts(0, 60, 3600)

    assert fail(lockouts, 0.0, 1000) == 0
    assert len(lockouts) == 0


def test_a_lockout_goes_on_when_the_numbers_change_and_ends_when_there_is_none():
    lockouts = Lockouts(1, 60, 3600)
    fail(lockouts, 0.0, 1)
    lockouts.adjust(5, 10, 100)
    assert lockouts.remaining("a", 1.0) == 59
    lockouts.adjust(0, 10, 100)
    assert lockouts.remaining("a", 1.0) == 0


def test_of_more_keys_than_are_remembered_the_one_that_failed_longest_ago_is_forgotten():
    lockouts = Lockouts(1, 60, 3600, remembered=2)
    for now, key in enumerate(["a", "b", "a", "c"]):
        lockouts.failed(key, float(now))

    assert len(lockouts) == 2
    assert [lockouts.remaining(key, 4.0) > 0 for key in "abc"] == [True, False, True]


def test_no_number_of_lockouts_is_too_large():
    lockouts = Lockouts(1, 1, 10)
    assert {fail(lockouts, now * 10.0, 1) for now in range(5, 2000)} <= {1, 2, 4, 8, 10}
