"""Mailbox: first come, first served; bounded for those whom asking costs nothing."""

from collections import Counter

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from alknet.errors import Unavailable
from alknet.runtime.mailbox import Mailbox

from .. import orphans


class Letter:
    """As much of an invocation as a mailbox looks at."""

    def __init__(self, number, *, sender=None):
        self.number = number
        self.sender = sender
        self.is_local = sender is None
        self.is_over = False
        self.error = None

    def fail(self, error):
        if not self.is_over:
            self.is_over = True
            self.error = error

    def leave(self):
        self.is_over = True


async def test_everything_that_waits_is_taken_in_one_go_and_in_order():
    mailbox = Mailbox("echo", 10)
    letters = [Letter(number) for number in range(5)]
    for letter in letters:
        mailbox.put(letter)

    assert list(await mailbox.take()) == letters
    assert len(mailbox) == 0


async def test_a_sleeping_actor_is_woken_by_the_first_letter(nursery):
    mailbox, taken = Mailbox("echo", 10), []

    async def take():
        taken.extend(await mailbox.take())

    nursery.start_soon(take)
    await wait_all_tasks_blocked()
    letters = [Letter(1), Letter(2)]
    for letter in letters:
        mailbox.put(letter)
    await wait_all_tasks_blocked()

    assert taken == letters


async def test_a_cancelled_take_takes_nothing_and_the_next_one_is_woken(autojump_clock, nursery):
    mailbox, taken = Mailbox("echo", 10), []
    with trio.move_on_after(1):
        await mailbox.take()

    async def take():
        taken.extend(await mailbox.take())

    nursery.start_soon(take)
    await wait_all_tasks_blocked()
    mailbox.put(Letter(1))
    await wait_all_tasks_blocked()

    assert len(taken) == 1


def test_beyond_its_size_a_call_from_a_link_is_refused_and_one_from_here_is_not():
    mailbox = Mailbox("echo", 3)
    waiting = [Letter(number, sender="a link") for number in range(3)]
    for letter in waiting:
        mailbox.put(letter)
    far, near = Letter(3, sender="a link"), Letter(4)
    mailbox.put(far)
    mailbox.put(near)

    assert isinstance(far.error, Unavailable)
    assert str(far.error) == "echo has 3 calls waiting; try again later"
    assert far.error.retryable
    assert near.error is None
    assert len(mailbox) == 4


def waiting_of(mailbox, links, rounds):
    """Have each of *links* send *rounds* calls in turn; return how many of each got in."""
    counts = []
    for link, calls in zip(links, rounds, strict=True):
        letters = [Letter(number, sender=link) for number in range(calls)]
        for letter in letters:
            mailbox.put(letter)
        counts.append(sum(letter.error is None for letter in letters))
    return counts


@pytest.mark.parametrize(
    ("rounds", "let_in"),
    [
        ([100], [8]),
        ([100, 1], [8, 1]),
        ([100, 100], [8, 4]),
        ([100, 100, 1], [8, 4, 1]),
        ([100, 100, 100, 100], [8, 4, 2, 1]),
        ([3, 3, 3, 3], [3, 3, 3, 3]),
    ],
)
def test_a_link_that_sends_more_than_its_share_keeps_no_other_out(rounds, let_in):
    mailbox = Mailbox("echo", 8)

    assert waiting_of(mailbox, "abcd"[: len(rounds)], rounds) == let_in


async def test_callers_of_this_process_keep_no_link_out_and_what_is_taken_counts_no_more():
    mailbox = Mailbox("echo", 8)
    for number in range(50):
        mailbox.put(Letter(number))
    assert waiting_of(mailbox, "a", [100]) == [8]

    await mailbox.take()
    assert waiting_of(mailbox, "ab", [100, 2]) == [8, 2]


def test_calls_that_were_given_up_count_no_more_when_the_mailbox_is_swept():
    mailbox = Mailbox("echo", 8)
    letters = [Letter(number, sender="a") for number in range(8)]
    for letter in letters:
        mailbox.put(letter)
        letter.leave()
    for number in range(8):
        mailbox.put(Letter(number))

    assert waiting_of(mailbox, "a", [100]) == [8]


def test_closing_fails_each_that_waits_with_an_error_of_its_own():
    mailbox = Mailbox("echo", 3)
    letters = [Letter(1), Letter(2)]
    for letter in letters:
        mailbox.put(letter)
    mailbox.close(lambda: Unavailable("gone"))

    assert [str(letter.error) for letter in letters] == ["gone", "gone"]
    assert letters[0].error is not letters[1].error
    assert len(mailbox) == 0


def test_callers_who_ask_and_leave_over_and_over_do_not_fill_the_memory():
    mailbox = Mailbox("echo", 8)
    for number in range(10_000):
        letter = Letter(number)
        mailbox.put(letter)
        letter.leave()

    assert len(mailbox) <= 17


@given(
    st.lists(st.sampled_from(["local", "a", "b", "c", "leave", "take", "close"]), max_size=60),
    st.integers(1, 4),
)
@settings(deadline=None)
def test_every_letter_is_taken_or_failed_exactly_once_and_in_order(steps, size):
    async def main():
        mailbox, taken, waiting, number = Mailbox("echo", size), [], [], 0
        for step in steps:
            if step in ("local", "a", "b", "c"):
                letter = Letter(number, sender=None if step == "local" else step)
                number += 1
                mailbox.put(letter)
                if not letter.is_over:
                    waiting.append(letter)
            elif step == "leave" and waiting:
                waiting.pop(0).leave()
            elif step == "take" and len(mailbox):
                batch = [letter for letter in await mailbox.take() if not letter.is_over]
                assert batch == waiting
                taken += batch
                waiting.clear()
            elif step == "close":
                left = list(waiting)
                mailbox.close(lambda: Unavailable("gone"))
                assert all(letter.error for letter in left)
                waiting.clear()
            remote = Counter(letter.sender for letter in waiting if not letter.is_local)
            assert all(count <= size for count in remote.values())
            assert remote.total() <= 2 * size
        assert [letter.number for letter in taken] == sorted(letter.number for letter in taken)

    orphans.run(main)


@pytest.mark.parametrize("size", [1, 64])
def test_a_mailbox_of_any_size_lets_one_call_from_a_link_wait(size):
    mailbox = Mailbox("echo", size)
    letter = Letter(1, sender="a link")
    mailbox.put(letter)

    assert letter.error is None
