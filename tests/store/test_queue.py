"""Tasks are done at least once, tried again, buried at last, and claimed as fast from many."""

import time

import pytest

from alknet.errors import Conflict
from alknet.store.connection import open_writer
from alknet.store.queue import acknowledge, bury, claim, enqueue, extend, retry


@pytest.fixture
def connection(tmp_path):
    connection = open_writer(tmp_path / "test.db", "normal", "none")
    yield connection
    connection.close()


def expire(connection):
    """Let every claim have expired."""
    connection.execute("update _honker_live set claim_expires_at = 1 where state = 'processing'")


def dead(connection):
    return connection.execute("select payload, attempts, last_error from _honker_dead").fetchall()


def test_jobs_are_claimed_in_order_by_one_worker_and_gone_when_acknowledged(connection):
    for number in range(5):
        enqueue(connection, "q", b'"%d"' % number)
    enqueue(connection, "other", b"{}")

    first, second = claim(connection, "q", "a", 2), claim(connection, "q", "b", 9)

    assert [job.payload for job in first] == [b'"0"', b'"1"']
    assert [job.payload for job in second] == [b'"2"', b'"3"', b'"4"']
    assert claim(connection, "q", "c", 9) == []
    for job in (*first, *second):
        acknowledge(connection, job)
    expire(connection)
    assert claim(connection, "q", "c", 9) == []
    assert len(claim(connection, "other", "c", 9)) == 1


def test_a_job_that_is_not_yet_due_waits(connection):
    enqueue(connection, "q", b"{}", delay=60)
    assert claim(connection, "q", "a", 1) == []
    connection.execute("update _honker_live set run_at = run_at - 60")
    assert len(claim(connection, "q", "a", 1)) == 1


def test_an_expired_claim_is_lost_and_the_job_is_somebody_elses(connection):
    enqueue(connection, "q", b"{}")
    (lost,) = claim(connection, "q", "a", 1)
    expire(connection)
    (job,) = claim(connection, "q", "b", 1)
    assert (job.id, job.attempts) == (lost.id, 2)
    for late in (acknowledge, extend):
        with pytest.raises(Conflict, match="is not held by 'a' any more"):
            late(connection, lost)
    for late in (retry, bury):
        with pytest.raises(Conflict, match="is not held by 'a' any more"):
            late(connection, lost, "late")
    extend(connection, job)
    acknowledge(connection, job)
    with pytest.raises(Conflict):
        acknowledge(connection, job)


@pytest.mark.parametrize("last", ["retried", "expired"])
def test_a_job_is_buried_after_its_last_attempt(connection, last):
    enqueue(connection, "q", b"{}", max_attempts=3)
    for attempt in (1, 2, 3):
        (job,) = claim(connection, "q", "a", 1)
        assert job.attempts == attempt
        if last == "retried":
            retry(connection, job, "no luck")
        else:
            expire(connection)
    assert claim(connection, "q", "a", 1) == []
    reason = "no luck" if last == "retried" else "its last claim expired"
    assert dead(connection) == [("{}", 3, reason)]


def test_a_job_can_be_given_up_at_once_and_put_off(connection):
    enqueue(connection, "q", b"1")
    enqueue(connection, "q", b"2")
    hopeless, later = claim(connection, "q", "a", 2)
    bury(connection, hopeless, "hopeless")
    retry(connection, later, "busy", delay=60)
    assert dead(connection) == [("1", 1, "hopeless")]
    assert claim(connection, "q", "a", 2) == []


def test_what_is_undone_was_never_enqueued_nor_claimed(connection):
    with pytest.raises(KeyError), connection:
        enqueue(connection, "q", b"{}")
        raise KeyError
    assert claim(connection, "q", "a", 1) == []
    enqueue(connection, "q", b"{}")
    with pytest.raises(KeyError), connection:
        claim(connection, "q", "a", 1)
        raise KeyError
    assert len(claim(connection, "q", "a", 1)) == 1


def steps(connection, act):
    """Return how many steps of SQLite's machine *act* takes: a measure that no load disturbs."""
    count = 0

    def step():
        nonlocal count
        count += 1
        return False

    connection.set_progress_handler(step, 1)
    act()
    connection.set_progress_handler(None)
    return count


@pytest.mark.parametrize("state", ["waiting", "in flight", "later", "buried"])
def test_a_claim_costs_the_same_whatever_the_backlog(connection, state):
    def fill(count):
        with connection:
            for _ in range(count):
                enqueue(connection, "q", b"{}", delay=60 if state == "later" else 0)
            if state == "in flight":
                claim(connection, "q", "w", count)
            elif state == "buried":
                for job in claim(connection, "q", "w", count):
                    bury(connection, job, "x")
            enqueue(connection, "q", b"{}")

    def once():
        (job,) = claim(connection, "q", "a", 1)
        acknowledge(connection, job)

    fill(10)
    few = steps(connection, once)
    fill(5000)
    many = steps(connection, once)

    assert many < few * 1.5


def test_a_clock_that_is_set_back_loses_no_job(connection):
    enqueue(connection, "q", b"{}")
    (job,) = claim(connection, "q", "a", 1)
    # As seen after the clock has gone back an hour: the claim lasts that much longer.
    connection.execute("update _honker_live set claim_expires_at = ?", (int(time.time()) + 3900,))
    assert claim(connection, "q", "b", 1) == []
    acknowledge(connection, job)
