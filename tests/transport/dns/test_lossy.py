"""What both ends hear over a road that loses, doubles, delays and reorders, in simulated time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .lossy import Road

UP = bytes(range(256)) * 40
DOWN = bytes(reversed(range(256))) * 160
shares = st.floats(0, 0.4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=shares,
    doubles=shares,
    delay=st.floats(0.0001, 0.2),
    jitter=st.floats(0, 0.5),
    up=st.integers(0, len(UP)),
    down=st.integers(0, len(DOWN)),
)
def test_all_of_it_arrives_once_and_in_order(seed, loss, doubles, delay, jitter, up, down):
    road = Road(
        UP[:up], DOWN[:down], seed=seed, loss=loss, doubles=doubles, delay=delay, jitter=jitter
    )
    road.run(until=3600)

    assert road.far.heard == UP[:up]
    assert road.near.heard == DOWN[:down]
    assert road.is_done


def test_without_loss_nothing_goes_twice():
    road = Road(UP, DOWN, seed=1)
    road.run(until=3600)

    assert road.far.heard == UP
    assert road.near.heard == DOWN
    # As many queries as segments need, and some that ask whether there is more.
    assert road.queries < 1.3 * (len(UP) / 116 + len(DOWN) / 900)


def test_a_cut_of_thirty_seconds_is_survived_and_the_road_is_not_flooded_meanwhile():
    road = Road(UP, DOWN, seed=2, delay=0.02)
    road.run(until=0.1)
    road.is_cut, before = True, road.queries
    road.run(until=30.1)
    assert road.queries - before < 60
    road.is_cut = False
    road.run(until=60)

    assert road.far.heard == UP
    assert road.near.heard == DOWN


@pytest.mark.parametrize("who", ["near", "far"])
def test_who_does_not_read_is_sent_no_more_than_a_window(who):
    words = bytes(1_000_000)
    road = Road(words, words, seed=3, loss=0.1, doubles=0.1, jitter=0.05)
    end = getattr(road, who)
    end.reads = False
    road.run(until=20)
    assert end.incoming.has_data
    assert road.near.held_bytes < 130_000
    assert road.far.held_bytes < 130_000

    end.reads = True
    road.run(until=3600)
    assert road.near.heard == road.far.heard == words


def test_a_road_by_way_of_a_satellite_is_slow_and_whole():
    road = Road(UP, DOWN, seed=7, delay=0.9, loss=0.02)
    road.run(until=600)

    assert road.far.heard == UP
    assert road.near.heard == DOWN


def test_an_idle_session_asks_once_in_a_second_or_so():
    road = Road(b"hello", b"hello", seed=4)
    road.idle(until=10)
    before = road.queries
    road.idle(until=70)

    assert 30 < road.queries - before < 70


def test_what_either_end_says_after_a_silence_is_heard_soon():
    road = Road(b"hello", b"", seed=5)
    road.idle(until=60)
    road.far.unsaid = b"news"
    road.idle(until=61.1)
    assert road.near.heard == b"news"
    road.near.unsaid = b" again"
    road.idle(until=61.15)
    assert road.far.heard == b"hello again"


def test_an_answer_that_says_there_is_none_is_not_answered_by_a_flood():
    road = Road(UP, b"", seed=6)
    for _ in range(100):
        query = road.asker.next(road.now)
        if query is not None:
            road.asker.failed(query.number, road.now)
        road.now += 0.01
    assert road.asker.number <= 3
