"""Which query is answered when: the last one is held, and one that comes again is no new one."""

import pytest

from alknet.transport.dns.answering import Answerer
from alknet.transport.dns.pace import HOLD
from alknet.transport.dns.packet import Ack, CarryUp, Segment
from alknet.transport.dns.window import WINDOW, Incoming, Outgoing


class Far:
    """An answerer, and what it has answered to which query."""

    def __init__(self, words=b""):
        self.outgoing, self.incoming = Outgoing(), Incoming()
        self.outgoing.write(words)
        self.answerer = Answerer(self.outgoing, self.incoming, size=4, now=0.0)
        self.answers = []

    def ask(self, number, *, now=0.0, oldest=0, ack=None, segment=None):
        query = CarryUp(bytes(8), number, number - oldest, ack or Ack(0, 0, WINDOW), segment)
        self.answerer.asked(query, lambda answer: self.answers.append((number, answer)), now)

    @property
    def said(self):
        return [(number, answer.segment and answer.segment.data) for number, answer in self.answers]


def test_a_query_is_held_until_there_is_something_to_say():
    far = Far()
    far.ask(0)
    assert far.said == []
    far.outgoing.write(b"news")
    far.answerer.stir()
    assert far.said == [(0, b"news")]


def test_a_query_is_held_no_longer_than_resolvers_wait():
    far = Far()
    far.ask(0, now=5.0)
    far.answerer.expire(5.0 + HOLD - 0.01)
    assert far.said == []
    assert far.answerer.wake_at() == 5.0 + HOLD
    far.answerer.expire(5.0 + HOLD)
    assert far.said == [(0, None)]


def test_of_several_queries_only_the_last_is_held():
    far = Far()
    for number in range(3):
        far.ask(number)
    assert far.said == [(0, None), (1, None)]


def test_an_older_query_that_comes_late_is_answered_at_once():
    far = Far()
    far.ask(7)
    far.ask(5)
    assert far.said == [(5, None)]


def test_a_held_query_that_comes_again_is_answered_each_time_when_it_is():
    far = Far()
    far.ask(0)
    far.ask(0)
    far.answerer.expire(HOLD)
    assert far.said == [(0, None), (0, None)]


def test_a_query_that_comes_again_hears_the_same_again():
    far = Far(b"one two three")
    far.ask(0)
    far.ask(1)
    far.ask(0)
    far.ask(1)
    assert far.said == [(0, b"one "), (1, b"two "), (0, b"one "), (1, b"two ")]


def test_what_went_with_an_answer_that_was_given_up_goes_with_the_next():
    far = Far(b"one two ")
    far.ask(0)
    far.ask(1)
    # The answer to 0 never came; that to 1 did.
    far.ask(2, oldest=2, ack=Ack(0, 1, WINDOW))
    assert far.said == [(0, b"one "), (1, b"two "), (2, b"one ")]
    # Nor is it said again to a query that is older than that.
    far.ask(0)
    assert far.said[-1] == (0, None)


def test_an_answer_says_how_much_more_there_is():
    far = Far(b"one two three")
    far.ask(0)
    assert far.answers[0][1].backlog == 3


@pytest.mark.parametrize("number", [0, 3])
def test_a_query_from_long_ago_is_answered_with_nothing(number):
    far = Far()
    far.ask(1000)
    far.outgoing.write(b"news")
    far.answers.clear()
    far.ask(number)
    assert far.said == [(number, None)]


def test_no_number_of_queries_is_remembered_beyond_a_bound():
    far = Far()
    for number in range(0, 100_000, 7):
        far.ask(number, segment=Segment(number, b"x"))
    assert len(far.answerer._seen) < 1000
    assert len(far.incoming._early) < WINDOW
