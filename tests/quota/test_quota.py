"""The quota: how much one address, and one identity, may use of a node."""

import re
from contextlib import ExitStack

import pytest

from alknet.errors import InvalidInput, RateLimited
from alknet.protocol.config import RateLimits
from alknet.quota.quota import UNLIMITED, Quota

ANN, BOB = "192.0.2.1:1000", "192.0.2.2:1000"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def held():
    """Links that are open until the test ends."""
    with ExitStack() as links:
        yield links


def quota(clock, **limits):
    return Quota(clock, RateLimits(**{"max_auth_attempts": 0, **limits}))


@pytest.mark.parametrize("limits", [UNLIMITED, RateLimits(), RateLimits(exempt=("0.0.0.0/0",))])
def test_what_is_not_limited_is_let_through(clock, held, limits):
    unlimited = Quota(clock, limits)

    for _ in range(100):
        held.enter_context(unlimited.connected(ANN))
        held.enter_context(unlimited.identified("ann", ANN))
        unlimited.call("ann", ANN)
    assert not unlimited.counts_calls


def test_no_more_links_are_open_from_an_address_than_it_may_have(clock, held):
    limited = quota(clock, max_connections_per_ip=2)
    with limited.connected(ANN):
        held.enter_context(limited.connected("192.0.2.1:2000"))
        with pytest.raises(RateLimited, match=re.escape("192.0.2.1 has 2 links open")) as caught:
            held.enter_context(limited.connected(ANN))
        assert caught.value.retryable
        assert caught.value.details == {"retry_after": 1.0}
        held.enter_context(limited.connected(BOB))

    held.enter_context(limited.connected(ANN))


def test_no_more_links_are_open_by_an_identity_than_it_may_have(clock, held):
    limited = quota(clock, max_connections_per_identity=1)
    with limited.identified("ann", ANN):
        with pytest.raises(RateLimited, match="'ann' has 1 links open"):
            held.enter_context(limited.identified("ann", BOB))
        held.enter_context(limited.identified("bob", ANN))

    held.enter_context(limited.identified("ann", ANN))


def test_links_are_opened_no_faster_than_they_may_be(clock, held):
    limited = quota(clock, connections_per_second_per_ip=2)
    for _ in range(2):
        with limited.connected(ANN):
            pass
    with pytest.raises(RateLimited, match=r"opens links too fast: wait 0\.5") as caught:
        held.enter_context(limited.connected(ANN))
    clock.now += caught.value.details["retry_after"]
    held.enter_context(limited.connected(ANN))


@pytest.mark.parametrize(
    ("limits", "asked", "others"),
    [
        ({"calls_per_second": 3}, ("ann", ANN), [("bob", ANN)]),
        ({"calls_per_second": 3}, ("ann", BOB), [("bob", ANN)]),
        ({"calls_per_second_per_ip": 3}, ("ann", ANN), [("ann", BOB)]),
        ({"calls_per_second_per_ip": 3}, ("bob", ANN), [("bob", BOB)]),
    ],
)
def test_calls_are_counted_by_who_makes_them_and_where_from(clock, limits, asked, others):
    limited = quota(clock, **limits)
    for _ in range(3):
        limited.call(*asked)
    with pytest.raises(RateLimited, match="may make 3 calls a second here") as caught:
        limited.call(*asked)
    for other in others:
        limited.call(*other)

    assert caught.value.details["retry_after"] == pytest.approx(1 / 3, abs=0.002)
    clock.now += caught.value.details["retry_after"]
    limited.call(*asked)
    assert limited.counts_calls


def test_who_fails_too_often_is_locked_out_and_nobody_else(clock, held):
    limited = quota(clock, max_auth_attempts=2, lockout_seconds=60)
    limited.failed(ANN)
    held.enter_context(limited.connected(ANN))
    limited.failed("192.0.2.1:9")
    with pytest.raises(RateLimited, match="is locked out after too many failed proofs"):
        held.enter_context(limited.connected(ANN))
    held.enter_context(limited.connected(BOB))
    clock.now += 60
    held.enter_context(limited.connected(ANN))


@pytest.mark.parametrize(
    ("remote", "other", "same"),
    [
        ("[2001:db8::1]:1", "[2001:db8::2]:1", True),
        ("[2001:db8::1]:1", "[2001:db8:0:0:ffff::]:1", True),
        ("[2001:db8::1]:1", "[2001:db8:0:1::1]:1", False),
        ("[fe80::1%eth0]:1", "[fe80::2]:1", True),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1:2", True),
        ("192.0.2.1:1", "192.0.2.2:1", False),
    ],
)
def test_what_counts_as_one_address(clock, held, remote, other, same):
    limited = quota(clock, max_connections_per_ip=1)
    held.enter_context(limited.connected(remote))
    if same:
        with pytest.raises(RateLimited):
            held.enter_context(limited.connected(other))
    else:
        held.enter_context(limited.connected(other))


@pytest.mark.parametrize("remote", ["memory:a", "unknown:0", ""])
def test_a_link_without_an_address_is_not_counted(clock, held, remote):
    limited = quota(clock, max_connections_per_ip=1)
    for _ in range(2):
        held.enter_context(limited.connected(remote))


@pytest.mark.parametrize("exempt", ["192.0.2.1", "192.0.2.0/24", "0.0.0.0/0"])
def test_who_is_exempt_is_not_counted(clock, held, exempt):
    limited = quota(
        clock,
        max_connections_per_ip=1,
        max_connections_per_identity=1,
        max_auth_attempts=1,
        calls_per_second=1,
        exempt=(exempt,),
    )
    for _ in range(3):
        limited.failed(ANN)
        held.enter_context(limited.connected(ANN))
        held.enter_context(limited.identified("ann", ANN))
        limited.call("ann", ANN)


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.1/8", ""])
def test_what_is_no_block_cannot_be_exempt(text):
    with pytest.raises(InvalidInput, match="`exempt` lists addresses and CIDR blocks"):
        RateLimits(exempt=(text,))


def test_other_limits_count_what_is_open_already(clock, held):
    limited = quota(clock)
    held.enter_context(limited.connected(ANN))
    limited.put(RateLimits(max_connections_per_ip=1))
    with pytest.raises(RateLimited):
        held.enter_context(limited.connected(ANN))


def test_nothing_is_kept_of_who_has_left(clock):
    limited = quota(clock, max_connections_per_ip=1)
    with limited.connected(ANN), limited.identified("ann", ANN):
        pass
    assert not limited._open_from
    assert not limited._open_by
