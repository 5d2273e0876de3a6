"""Mailbox: first come, first served; bounded for those whom asking costs nothing."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from alknet.errors import Unavailable
from alknet.runtime.mailbox import Mailbox


class Letter:
    """As much of an invocation as a mailbox looks at."""

    def __init__(self, number, *, is_local=True):
        self.number = number
        self.is_local = is_local
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
    waiting = [Letter(number, is_local=False) for number in range(3)]
    for letter in waiting:
        mailbox.put(letter)
    far, near = Letter(3, is_local=False), Letter(4)
    mailbox.put(far)
    mailbox.put(near)

    assert isinstance(far.error, Unavailable)
    assert str(far.error) == "echo has 3 calls waiting; try again later"
    assert far.error.retryable
    assert near.error is None
    assert len(mailbox) == 4


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
    st.lists(st.sampled_from(["local", "remote", "leave", "take", "close"]), max_size=60),
    st.integers(1, 4),
)
@settings(deadline=None)
def test_every_letter_is_taken_or_failed_exactly_once_and_in_order(steps, size):
    async def main():
        mailbox, taken, waiting, number = Mailbox("echo", size), [], [], 0
        for step in steps:
            if step in ("local", "remote"):
                letter = Letter(number, is_local=step == "local")
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
            remote = [letter for letter in waiting if not letter.is_local]
            assert len(remote) <= size
        assert [letter.number for letter in taken] == sorted(letter.number for letter in taken)

    trio.run(main)


@pytest.mark.parametrize("size", [1, 64])
def test_a_mailbox_of_any_size_lets_one_call_from_a_link_wait(size):
    mailbox = Mailbox("echo", size)
    letter = Letter(1, is_local=False)
    mailbox.put(letter)

    assert letter.error is None
