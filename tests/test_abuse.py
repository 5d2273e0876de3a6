"""A node under abuse: who asks too much is refused and told so, and it is written down."""

import configparser
import json
import re
from contextlib import AsyncExitStack
from importlib import resources

import msgspec
import pytest
from structlog.testing import capture_logs

from alknet import connect, open_node
from alknet.errors import RateLimited, Refused
from alknet.protocol.config import RateLimits, ReloadRateLimits
from alknet.protocol.directory import Ping
from alknet.protocol.storage import ListAudit
from alknet.services.config import ConfigSettings
from alknet.services.storage.base import StorageSettings

from .echo import Echo, Say
from .people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, node_settings

ROADS = ["ws://127.0.0.1:0", "tcp://127.0.0.1:0"]


def settings(*, listen=ROADS[1], services=(), **limits):
    """Return the settings of a node with these limits, and no others."""
    plain = node_settings(listen=(listen,))
    config = ConfigSettings(rate_limits=RateLimits(**{"max_auth_attempts": 0, **limits}))
    return msgspec.structs.replace(
        plain, services={**plain.services, "config": config, **dict(services)}
    )


async def refused(url, key=STRANGER_KEY):
    """Whether somebody with *key* is told by the node that they may not come in."""
    try:
        async with connect(url, identity=key):
            return False
    except Refused:
        return True


async def hung_up_on(url, key=ALICE_KEY):
    """Whether a link is closed before the node has said a word."""
    try:
        async with connect(url, identity=key):
            return False
    except Refused:
        raise
    except Exception:
        return True


@pytest.mark.parametrize("listen", ROADS)
async def test_an_address_has_no_more_links_than_it_may(keyring, listen):
    async with open_node(
        settings(listen=listen, max_connections_per_ip=2), keyring=keyring
    ) as node:
        async with connect(node.url, identity=ALICE_KEY) as client:
            async with connect(node.url, identity=WORKER_KEY):
                assert await hung_up_on(node.url)
            assert await client.call(Ping())
        async with connect(node.url, identity=ALICE_KEY) as client:
            assert await client.call(Ping())


async def test_an_identity_has_no_more_links_than_it_may_and_is_told(keyring):
    limits = settings(max_connections_per_identity=1)
    async with open_node(limits, keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY):
            with pytest.raises(Refused, match="'alice' has 1 links open, the most"):
                async with connect(node.url, identity=ALICE_KEY):
                    pass
            async with connect(node.url, identity=WORKER_KEY):
                pass
        async with connect(node.url, identity=ALICE_KEY) as client:
            assert await client.call(Ping())


@pytest.mark.parametrize("listen", ROADS)
async def test_who_fails_too_often_is_not_listened_to(keyring, listen):
    limits = settings(listen=listen, max_auth_attempts=3, lockout_seconds=3600)
    async with open_node(limits, keyring=keyring) as node:
        with capture_logs() as logs:
            outcomes = [await refused(node.url) for _ in range(3)]
            assert await hung_up_on(node.url)

        await node.client.call(ReloadRateLimits(RateLimits(max_auth_attempts=0)))
        async with connect(node.url, identity=ALICE_KEY) as client:
            assert await client.call(Ping())

    assert all(outcomes)
    events = [line["event"] for line in logs]
    assert events.count("auth attempt") == 3
    assert events.count("address locked out") == 1


async def test_who_has_got_in_has_not_failed(keyring):
    limits = settings(max_auth_attempts=2, lockout_seconds=3600)
    async with open_node(limits, keyring=keyring) as node:
        for _ in range(4):
            assert await refused(node.url)
            async with connect(node.url, identity=ALICE_KEY) as client:
                assert await client.call(Ping())


async def test_calls_above_the_rate_fail_at_once_and_say_when_to_try_again(keyring):
    limits = settings(calls_per_second=5, burst_seconds=1.0)
    async with (
        open_node(limits, keyring=keyring, services=[Echo()]) as node,
        AsyncExitStack() as links,
    ):
        clients = [
            await links.enter_async_context(connect(node.url, identity=ALICE_KEY)) for _ in range(2)
        ]
        passed, errors = 0, []
        for turn in range(40):
            try:
                await clients[turn % 2].call(Say("hello"))
                passed += 1
            except RateLimited as error:
                errors.append(error)

        other = await links.enter_async_context(connect(node.url, identity=WORKER_KEY))
        assert await other.call(Ping())

    # A burst of five, and however many came in while this ran, which takes far less than 2 s.
    assert 5 <= passed <= 15
    assert errors[0].retryable
    assert 0 < errors[0].details["retry_after"] <= 0.21
    assert "'alice' may make 5 calls a second here: wait" in str(errors[0])


async def test_limits_that_change_count_for_links_that_are_open(keyring):
    async with open_node(settings(), keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY) as client:
            for _ in range(10):
                await client.call(Ping())
            await node.client.call(ReloadRateLimits(RateLimits(calls_per_second=1)))
            await client.call(Ping())
            with pytest.raises(RateLimited):
                await client.call(Ping())
            await node.client.call(ReloadRateLimits(RateLimits()))
            await client.call(Ping())


async def test_without_limits_nothing_is_counted(keyring):
    async with open_node(settings(max_connections_per_ip=1), keyring=keyring) as node:
        assert node.dispatcher.allowance is None


async def test_calls_from_within_are_not_limited(keyring):
    async with open_node(settings(calls_per_second=1), keyring=keyring) as node:
        for _ in range(10):
            assert await node.client.call(Ping())


# What is written down.


async def test_every_decision_is_in_the_audit_log(keyring):
    limits = settings(services={"storage": StorageSettings()})
    async with open_node(limits, keyring=keyring) as node:
        assert await refused(node.url)
        async with connect(node.url, identity=ALICE_KEY) as client:
            entries = (await client.call(ListAudit())).entries

    assert [(each.actor, each.action) for each in entries] == [
        ("head", "auth.refused"),
        ("head", "auth.accepted"),
    ]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", entries[0].subject)
    assert "is not listed here" in entries[0].details["why"]
    assert entries[1].subject == "alice"
    assert entries[1].details["remote"].startswith("127.0.0.1:")


async def test_nobody_outside_can_write_to_the_audit_log(keyring):
    limits = settings(services={"storage": StorageSettings()})
    async with open_node(limits, keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY) as client:
            with pytest.raises(Exception, match="there is no operation 'storage/record-audit'"):
                await client.invoke(
                    "/head/storage/record-audit", {"action": "a", "subject": "b", "details": {}}
                )


# fail2ban. Its own pattern for an address, as of version 1.0, is a little longer.
ADDR = r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|\[?(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):))\]?"


@pytest.fixture
def found():
    """Return the function that returns the address in a line of the log, as the filter finds it."""
    filter_ = configparser.ConfigParser(interpolation=configparser.BasicInterpolation())
    text = (resources.files("alknet") / "data" / "fail2ban-filter.conf").read_text()
    filter_.read_string(text)
    patterns = [
        re.compile(line.replace("<ADDR>", f"(?:{ADDR})"))
        for line in filter_["Definition"]["failregex"].splitlines()
    ]

    def find(line):
        matches = [match for each in patterns if (match := each.search(line))]
        assert len(matches) <= 1
        return (matches[0]["ip4"] or matches[0]["ip6"]) if matches else None

    return find


def written(event, **facts):
    """Return a line of the log as a node writes it."""
    return json.dumps({**facts, "event": event, "level": "warning", "logger": "alknet.node"})


@pytest.mark.parametrize("prefix", ["", "Nov 23 19:00:00 host alknet[77]: "])
@pytest.mark.parametrize(
    ("remote", "address"),
    [("192.0.2.1:5000", "192.0.2.1"), ("[2001:db8::1]:5000", "2001:db8::1")],
)
def test_the_filter_finds_who_failed(found, prefix, remote, address):
    failed = written("auth attempt", remote=remote, result="reject", why="nobody")
    locked = written("address locked out", remote=remote, address="x", seconds=60)
    let_in = written("auth attempt", remote=remote, result="accept", peer="alice")

    assert found(prefix + failed) == address
    assert found(prefix + locked) == address
    assert found(prefix + let_in) is None


def test_what_a_peer_says_of_itself_cannot_pass_for_an_address(found):
    forged = '"remote": "9.9.9.9:1", "result": "reject", "why": "", "event": "auth attempt"'
    for text in (forged, "{" + forged + "}", "\n{" + forged + "}"):
        line = written("auth attempt", remote="192.0.2.1:5", result="reject", why=text)
        assert found(line) == "192.0.2.1"
        assert found(written("call", operation=text, peer=text)) is None


async def test_a_node_writes_what_the_filter_looks_for(keyring):
    async with open_node(settings(max_auth_attempts=1), keyring=keyring) as node:
        with capture_logs() as logs:
            assert await refused(node.url)

    lines = {line["event"]: list(line) for line in logs}
    assert lines["auth attempt"][:3] == ["remote", "result", "why"]
    assert lines["address locked out"][:2] == ["remote", "address"]
