"""ConfigService: the policies in force, and their replacement, all or nothing."""

import pytest
import structlog
import trio
from structlog.testing import capture_logs

from alknet import connect, open_node
from alknet.errors import InvalidInput, SettingsError
from alknet.protocol.auth import Granted, VerifyPubkey
from alknet.protocol.config import (
    CheckForwarding,
    GetForwardingPolicy,
    GetRateLimits,
    RateLimits,
    ReloadForwarding,
    ReloadRateLimits,
    WatchForwarding,
    WatchRateLimits,
)
from alknet.protocol.forwarding import ForwardingPolicy, ForwardingRule

from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, node_settings
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


# News.


@pytest.mark.parametrize(
    ("watch", "reload", "values"),
    [
        (
            WatchForwarding(),
            ReloadForwarding,
            [ForwardingPolicy(), POLICY, ForwardingPolicy("allow")],
        ),
        (WatchRateLimits(), ReloadRateLimits, [RateLimits(), RateLimits(1), RateLimits(2)]),
    ],
)
async def test_who_watches_is_sent_what_is_in_force_and_what_takes_its_place(
    client, watch, reload, values
):
    async with client.stream(watch) as items:
        assert await anext(items) == values[0]
        for value in values[1:]:
            await client.call(reload(value))
            await client.call(reload(value))
            assert await anext(items) == value


async def test_a_question_about_forwarding_is_answered_by_the_policy_in_force(client):
    asked = CheckForwarding("db.internal", 5432)
    assert not (await client.call(asked)).allowed
    rule = ForwardingRule("10.0.0.0/8:5432", "allow", principals=("worker-1",))
    await client.call(ReloadForwarding(ForwardingPolicy("deny", (rule,))))

    answers = [
        await client.call(CheckForwarding("db.internal", 5432, address, "worker-1"))
        for address in ("10.0.0.1", "192.0.2.1", None)
    ]
    assert [each.allowed for each in answers] == [True, False, False]
    assert "resolve it" in (await client.call(asked)).why or "the default" in answers[1].why


# The whole file.


@pytest.fixture
def stack(tmp_path):
    """Write a stack.toml, and return its path."""
    path = tmp_path / "stack.toml"

    def write(default, calls, key=ALICE_KEY, more=""):
        text = STACK.format(key=line_of(key), default=default, calls=calls) + more
        other = path.with_suffix(".new")
        other.write_text(text)
        other.replace(path)
        return path

    return write


async def in_force(node):
    """Return what can be reloaded, as it is in force."""
    policy = await node.client.call(GetForwardingPolicy())
    limits = await node.client.call(GetRateLimits())
    knows_alice = isinstance(await node.client.call(VerifyPubkey(ALICE_KEY.public_key)), Granted)
    return policy.default, limits.calls_per_second, knows_alice


async def test_a_reload_takes_all_that_can_change_and_names_what_cannot(stack, keyring):
    async with open_node(stack("deny", 5), keyring=keyring) as node:
        stack("allow", 7, STRANGER_KEY, "[limits]\ndepth = 9\n[secrets]\n")
        with capture_logs() as logs:
            await node.reload()

        assert await in_force(node) == ("allow", 7, False)
    (line,) = [each for each in logs if each["event"] == "settings reloaded"]
    assert line["needs_restart"] == ["limits", "secrets"]


async def test_a_file_with_a_fault_leaves_everything_in_force(stack, keyring):
    async with open_node(stack("deny", 5), keyring=keyring) as node:
        path = stack("allow", -7, STRANGER_KEY)
        with pytest.raises(SettingsError, match=r"stack\.toml:12: config\.rate_limits\.calls"):
            await node.reload()
        path.unlink()
        with pytest.raises(SettingsError, match="no such file"):
            await node.reload()

        assert await in_force(node) == ("deny", 5, True)


async def test_a_file_that_changes_is_reloaded_and_a_bad_one_is_named_in_the_log(
    stack, keyring, monkeypatch
):
    monkeypatch.setenv("ALKNET__NODE__WATCH", "0.005")
    async with open_node(stack("deny", 5), keyring=keyring) as node:
        async with node.client.stream(WatchRateLimits()) as limits:
            assert (await anext(limits)).calls_per_second == 5
            with trio.fail_after(10):
                heard = hear_log("settings not reloaded: those in force stay")
                stack("maybe", 6)
                why = (await heard())["why"]
                stack("allow", 7)
                assert (await anext(limits)).calls_per_second == 7

    assert "stack.toml:10: config.forwarding.default: invalid enum value 'maybe'" in why


LISTED = """
[[auth.peers]]
name = "bob"
authorized_keys = "bob.keys"
"""


async def test_a_file_of_keys_is_reloaded_when_it_changes_and_a_bad_line_is_named(
    stack, keyring, tmp_path, monkeypatch
):
    monkeypatch.setenv("ALKNET__NODE__WATCH", "0.005")
    keys = tmp_path / "bob.keys"
    keys.write_text(f"{line_of(STRANGER_KEY)}\n")
    async with open_node(stack("deny", 5, more=LISTED), keyring=keyring) as node:
        whose = node.client.call

        async def is_bobs(key):
            return isinstance(await whose(VerifyPubkey(key.public_key)), Granted)

        assert await is_bobs(STRANGER_KEY)
        with trio.fail_after(10):
            heard = hear_log("settings not reloaded: those in force stay")
            keys.write_text(f"# of bob\n{line_of(WORKER_KEY)}\nssh-ed25519 nonsense\n")
            assert "bob.keys:3: " in (await heard())["why"]
            assert await is_bobs(STRANGER_KEY)
            assert not await is_bobs(WORKER_KEY)
            heard = hear_log("settings reloaded")
            keys.write_text(f"{line_of(WORKER_KEY)}\n")
            await heard()
        assert await is_bobs(WORKER_KEY)
        assert not await is_bobs(STRANGER_KEY)


async def test_a_file_of_keys_with_a_fault_leaves_what_other_services_have_too(
    stack, keyring, tmp_path
):
    keys = tmp_path / "bob.keys"
    keys.touch()
    async with open_node(stack("deny", 5, more=LISTED), keyring=keyring) as node:
        stack("allow", 7, STRANGER_KEY, LISTED)
        keys.write_text("nonsense\n")
        with pytest.raises(InvalidInput, match=r"bob\.keys:1: "):
            await node.reload()
        assert await in_force(node) == ("deny", 5, True)


def hear_log(event):
    """Return a function that waits for a line of the log that says *event*, from now on."""
    lines, heard = [], trio.Event()

    def hear(_, __, line):
        if line["event"] == event:
            lines.append(line)
            heard.set()
        raise structlog.DropEvent

    async def wait():
        await heard.wait()
        return lines[0]

    structlog.configure(processors=[hear])
    return wait
