"""ConfigService: the policies in force, and their replacement, all or nothing."""

import pytest

from alknet import connect, open_node
from alknet.errors import InvalidInput
from alknet.protocol.config import (
    ForwardingPolicy,
    ForwardingRule,
    GetForwardingPolicy,
    GetRateLimits,
    RateLimits,
    ReloadForwarding,
    ReloadRateLimits,
)

from ..people import ALICE_KEY, node_settings
from .keys import line_of

POLICY = ForwardingPolicy("allow", (ForwardingRule("db.internal:5432", "deny"),))


@pytest.fixture
async def client(keyring):
    async with open_node(node_settings(listen=()), keyring=keyring) as node:
        yield node.client


async def test_what_is_not_set_has_its_default(client):
    assert await client.call(GetForwardingPolicy()) == ForwardingPolicy("deny", ())
    assert await client.call(GetRateLimits()) == RateLimits(0, 10, 0)


async def test_what_is_put_in_force_is_what_is_returned_and_what_is_read(client):
    assert await client.call(ReloadForwarding(POLICY)) == POLICY
    assert await client.call(GetForwardingPolicy()) == POLICY
    limits = RateLimits(max_auth_attempts=3)
    assert await client.call(ReloadRateLimits(limits)) == limits
    assert await client.call(GetRateLimits()) == limits


@pytest.mark.parametrize(
    "target",
    [
        "db.internal:5432",
        "*:*",
        "*.internal:80",
        "a*b:1-65535",
        "10.0.0.1:22",
        "10.0.0.0/8:*",
        "[::1]:80",
        "[2001:db8::]/32:443",
        "host_name:8000-8999",
    ],
)
def test_a_target_that_can_be_matched_against_is_taken(target):
    assert ForwardingRule(target, "allow").target == target


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "should read host:port"),
        ("host", "should read host:port"),
        ("host:", "should read host:port"),
        (":80", "should read host:port"),
        ("host:http", "should read host:port"),
        ("::1:80", "should read host:port"),
        ("host:80:81", "should read host:port"),
        ("a*b*c:80", "has a bad host name; one '*' may stand for any part of it"),
        ("ho st:80", "has a bad host name"),
        ("10.0.0.0/33:80", "has a bad block of addresses"),
        ("10.0.0.1/8:80", "has a bad block of addresses"),
        ("[nonsense]:80", "has a bad block of addresses"),
        ("host:0", "has ports out of order or above 65535"),
        ("host:65536", "has ports out of order or above 65535"),
        ("host:90-80", "has ports out of order or above 65535"),
        ("host:0-80", "has ports out of order or above 65535"),
    ],
)
def test_a_target_that_could_not_is_refused_and_says_why(target, words):
    with pytest.raises(InvalidInput) as caught:
        ForwardingRule(target, "allow")
    assert str(caught.value).startswith(f"the target {target!r} {words}")


async def test_a_policy_with_a_fault_leaves_the_one_in_force_untouched(client):
    await client.call(ReloadForwarding(POLICY))
    rules = [{"target": "a:1", "action": "allow"}, {"target": "nowhere", "action": "deny"}]
    with pytest.raises(InvalidInput, match=r"`policy\.rules") as caught:
        await client.invoke("/head/config/reload-forwarding", {"policy": {"rules": rules}})

    assert caught.value.details == {"field": "policy.rules[1]"}
    assert await client.call(GetForwardingPolicy()) == POLICY


@pytest.mark.parametrize("field", ["max_connections_per_ip", "calls_per_second"])
async def test_negative_limits_are_refused(client, field):
    with pytest.raises(InvalidInput) as caught:
        await client.invoke("/head/config/reload-rate-limits", {"limits": {field: -1}})
    assert caught.value.details == {"field": f"limits.{field}"}


STACK = """
[node]
listen = ["ws://127.0.0.1:0"]
[auth]
[[auth.peers]]
name = "alice"
keys = ["{key}"]
scopes = ["config:*"]
[config.forwarding]
default = "{default}"
[config.rate_limits]
calls_per_second = {calls}
"""


async def test_a_reload_without_a_policy_takes_what_the_file_says_now(tmp_path, keyring):
    path = tmp_path / "stack.toml"

    def write(default, calls):
        path.write_text(STACK.format(key=line_of(ALICE_KEY), default=default, calls=calls))

    write("deny", 5)
    async with open_node(path, keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY) as client:
            assert (await client.call(GetRateLimits())).calls_per_second == 5
            write("allow", 7)
            assert (await client.call(GetForwardingPolicy())).default == "deny"
            assert (await client.call(ReloadForwarding())).default == "allow"
            assert (await client.call(ReloadRateLimits())).calls_per_second == 7
            write("maybe", 9)
            with pytest.raises(InvalidInput, match=r"stack\.toml:10: config\.forwarding\.default"):
                await client.call(ReloadForwarding())
            with pytest.raises(InvalidInput):
                await client.call(ReloadRateLimits())
            assert (await client.call(GetForwardingPolicy())).default == "allow"
            assert (await client.call(GetRateLimits())).calls_per_second == 7
