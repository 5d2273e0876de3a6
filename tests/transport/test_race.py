"""Several ways to one node: which is tried when, and what becomes of the others."""

import pytest
import trio

from alknet.errors import Refused, Unreachable
from alknet.transport.memory import memory_pair
from alknet.transport.race import race


class Ways:
    """Ways that each open, or fail, after a time of their own; `begun` says when each was tried."""

    def __init__(self, **ways):
        self.ways = ways
        self.begun = {}
        self.cancelled = []
        self.links = {}

    async def open(self, url):
        self.begun[url] = trio.current_time()
        seconds, opens = self.ways[url]
        try:
            await trio.sleep(seconds)
        except trio.Cancelled:
            self.cancelled.append(url)
            raise
        if not opens:
            raise Unreachable(f"nobody at {url}")
        self.links[url], _ = memory_pair()
        return self.links[url]


OPENS, FAILS = True, False
NEVER = 1000


@pytest.mark.parametrize(
    ("ways", "winner", "begun", "took"),
    [
        ({"a": (0.1, OPENS), "b": (0.1, OPENS)}, "a", {"a": 0}, 0.1),
        # Just in time: the next one is not tried.
        ({"a": (0.24, OPENS), "b": (0, OPENS)}, "a", {"a": 0}, 0.24),
        # The first is slow: the second is tried beside it, and the faster wins.
        ({"a": (0.5, OPENS), "b": (0.1, OPENS)}, "b", {"a": 0, "b": 0.25}, 0.35),
        ({"a": (0.3, OPENS), "b": (0.1, OPENS)}, "a", {"a": 0, "b": 0.25}, 0.3),
        ({"a": (NEVER, FAILS), "b": (NEVER, FAILS), "c": (1, OPENS)}, "c", {"a": 0, "b": 0.25, "c": 0.5}, 1.5),
        # The first fails: the second is tried at once.
        ({"a": (0.1, FAILS), "b": (0.1, OPENS)}, "b", {"a": 0, "b": 0.1}, 0.2),
        ({"a": (0, FAILS), "b": (0, FAILS), "c": (0, OPENS)}, "c", {"a": 0, "b": 0, "c": 0}, 0),
        ({"a": (0.3, FAILS), "b": (NEVER, FAILS), "c": (0, OPENS)}, "c", {"a": 0, "b": 0.25, "c": 0.5}, 0.5),
        ({"a": (0.1, FAILS), "b": (1, FAILS)}, None, {"a": 0, "b": 0.1}, 1.1),
        ({"a": (0.1, OPENS)}, "a", {"a": 0}, 0.1),
    ],
)  # fmt: skip
async def test_each_way_gets_its_head_start(ways, winner, begun, took, autojump_clock):
    here, failures = Ways(**ways), {}
    start = trio.current_time()

    won = await race(list(ways), here.open, failures)

    assert (won and won[0]) == winner
    assert {url: round(at - start, 6) for url, at in here.begun.items()} == begun
    assert round(trio.current_time() - start, 6) == took
    if winner is not None:
        assert won[1] is here.links[winner]
        assert set(here.cancelled) == set(begun) - {winner} - set(failures)


async def test_a_link_that_opens_when_another_has_won_is_closed(autojump_clock):
    near, far = memory_pair()

    async def open_link(url):
        if url == "a":
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            return near
        return memory_pair()[0]

    url, _ = await race(["a", "b"], open_link, {})

    assert url == "b"
    assert await far.receive() == b""


async def test_what_failed_is_told(autojump_clock):
    async def open_link(url):
        raise Refused(f"{url} says no") if url == "b" else Unreachable(f"{url} is not there")

    failures = {}
    assert await race(["a", "b"], open_link, failures) is None
    assert {url: str(error) for url, error in failures.items()} == {
        "a": "a is not there",
        "b": "b says no",
    }


async def test_a_fault_of_ours_is_no_failure_of_a_way(autojump_clock):
    async def open_link(url):
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        await race(["a", "b"], open_link, {})
