"""stack.toml: read whole, and refused whole, with the line and the key at fault."""

import os
from pathlib import Path

import pytest

from alknet import load
from alknet.errors import SettingsError
from alknet.settings import CertificatePair, NodeSettings, TlsSettings, load_node
from alknet.wire.limits import Limits

from ..people import ALICE_KEY
from ..services.keys import line_of

ALICE = line_of(ALICE_KEY)
GOOD = f"""
# The node itself.
[node]
name = "home"
listen = ["ws://127.0.0.1:8480", "tcp://127.0.0.1:8481"]
drain = 2.5

[limits]
frame_bytes = 1048576

[tls]
client_certificates = true
certificates = [{{chain = "chain.pem", key = "key.pem"}}]

[auth]
token_window = 60

[[auth.peers]]
name = "alice"
keys = ["{ALICE}"]
scopes = ["secrets:*", "config:read"]

[auth.peers.resources]
"disk:1" = ["read", "write"]

[[auth.tokens]]
name = "ci"
hash = "sha256:{"0" * 64}"
expires = 2030-01-01T00:00:00Z

[secrets]

[config.forwarding]
default = "allow"

[[config.forwarding.rules]]
target = "db.internal:5432"
action = "deny"

[config.rate_limits]
max_auth_attempts = 3
"""


@pytest.fixture
def stack(tmp_path):
    """Write a stack.toml and return its path."""

    def write(text):
        path = tmp_path / "stack.toml"
        path.write_text(text)
        return path

    return write


def test_a_whole_file_is_read(stack):
    path = stack(GOOD)
    settings = load(path)

    assert settings.node == NodeSettings(
        "home", ("ws://127.0.0.1:8480", "tcp://127.0.0.1:8481"), 2.5
    )
    assert settings.limits == Limits(frame_bytes=1048576)
    assert settings.tls == TlsSettings(
        (CertificatePair(Path("chain.pem"), Path("key.pem")),), client_certificates=True
    )
    assert settings.path == path
    assert set(settings.services) == {"auth", "secrets", "config"}
    auth = settings.services["auth"]
    assert auth.peers[0].name == "alice"
    assert auth.peers[0].resources == {"disk:1": frozenset({"read", "write"})}
    assert auth.tokens[0].expires.year == 2030
    assert settings.services["config"].forwarding.rules[0].target == "db.internal:5432"
    assert settings.services["config"].rate_limits.max_auth_attempts == 3


@pytest.mark.parametrize("text", ["", "# nothing\n", "[node]\n"])
def test_what_is_left_out_has_its_default(stack, text):
    settings = load(stack(text))

    assert settings.node == NodeSettings()
    assert settings.limits == Limits()
    assert not settings.services


FAULTS = {
    # Not TOML at all.
    "no value": ("[node]\nname =\n", 2, "invalid value"),
    "no end": ('[node]\nname = "head\n', 2, "illegal character"),
    "a key twice": ('[node]\nname = "a"\nname = "b"\n', 3, "cannot overwrite a value"),
    "a table twice": ("[node]\n[limits]\n[node]\n", 3, "cannot declare"),
    "a stray word": ("[node]\n\nhello\n", 3, "expected '='"),
    "an open table": ("[node]\n[limits\n", 2, "expected ']'"),
    "an open array": ('[node]\nlisten = ["a",\n', 2, "invalid value"),
    # Tables and keys that there are not.
    "no such table": ("\n[nodes]\n", 2, "nodes: there is no table [nodes]; did you mean `node`?"),
    "no such service": ("[weather]\n", 1, "weather: there is no table [weather]; there are `node`"),
    "no such key": (
        "[node]\n\ndrian = 1\n",
        3,
        "node.drian: there is no such key; did you mean `drain`?",
    ),
    "no such key, nothing near": (
        "[limits]\nzzz = 1\n",
        2,
        "limits.zzz: there is no such key; there are `calls_in_flight`, `depth`, `frame_bytes`",
    ),
    "no such key above": ("name = 1\n", 1, "name: there is no table [name]"),
    "a key in a table without any": (
        "[secrets]\nphrase = 'hunter2'\n",
        2,
        "secrets.phrase: there is no such key",
    ),
    "no such key in the second of two": (
        "[auth]\n[[auth.peers]]\nname = 'a'\nkeys = []\n[[auth.peers]]\nname = 'b'\nkeys = []\n"
        "scope = []\n",
        8,
        "auth.peers[1].scope: there is no such key; did you mean `scopes`?",
    ),
    # Values that do not fit.
    "a text for an array": (
        "[node]\nlisten = 'ws://x'\n",
        2,
        "node.listen: expected `array`, got `str`",
    ),
    "a number for a text": ("[node]\nname = 7\n", 2, "node.name: expected `str`, got `int`"),
    "a text for a number": (
        "[node]\ndrain = 'long'\n",
        2,
        "node.drain: expected `float`, got `str`",
    ),
    "a text for a table": ("node = 'head'\n", 1, "node: expected `object`, got `str`"),
    "a table for a text": ("[node.name]\nx = 1\n", 1, "node.name: expected `str`, got `object`"),
    "a negative time": ("[node]\ndrain = -1\n", 2, "node.drain: expected `float` >= 0"),
    "a dotted key": ("node.drain = -1\n", 1, "node.drain: expected `float` >= 0"),
    "an inline table": ("\nnode = {drain = -1}\n", 2, "node.drain: expected `float` >= 0"),
    "a table within": (
        "[config]\n[config.rate_limits]\n\ncalls_per_second = -1\n",
        4,
        "config.rate_limits.calls_per_second: expected `int` >= 0",
    ),
    "an element of an array": (
        "[node]\nname = 'x'\nlisten = ['ws://a', 5]\n",
        3,
        "node.listen[1]: expected `str`, got `int`",
    ),
    "a name with a slash": ("[node]\nname = 'a/b'\n", 2, "node.name: 'a/b' should be up to 63"),
    "an empty name": ("[node]\nname = ''\n", 2, "node.name: '' should be up to 63 letters"),
    "no fingerprint": ("[node]\nidentity = 'x'\n", 2, "node.identity: 'x' should read SHA256:"),
    "a URL of no transport": (
        "[node]\nlisten = ['http://127.0.0.1']\n",
        2,
        "node.listen[0]: 'http://127.0.0.1' should read ws://host:port, wss://, tcp://, tls://, ssh:// or quic://",
    ),
    "frames of no bytes": ("[limits]\nframe_bytes = 0\n", 2, "limits.frame_bytes: "),
    "no depth": ("[limits]\ndepth = 0\n", 2, "limits.depth: "),
    "no calls": ("[limits]\ncalls_in_flight = 0\n", 2, "limits.calls_in_flight: "),
    "no answers": ("[limits]\nunsent_bytes = -5\n", 2, "limits.unsent_bytes: "),
    "no time to shake hands": (
        "[limits]\nhandshake_seconds = 0\n",
        2,
        "limits.handshake_seconds: ",
    ),
    # What is missing.
    "a peer without a name": (
        "[auth]\n[[auth.peers]]\nname = 'a'\nkeys = []\n\n[[auth.peers]]\nkeys = []\n",
        6,
        "auth.peers[1]: `name` is missing",
    ),
    "a token without a hash": (
        "[[auth.tokens]]\nname = 'ci'\n",
        1,
        "auth.tokens[0]: `hash` is missing",
    ),
    "a rule without an action": (
        "[[config.forwarding.rules]]\ntarget = 'a:1'\n",
        1,
        "config.forwarding.rules[0]: `action` is missing",
    ),
    # What services themselves find.
    "no key": (
        f"[auth]\n[[auth.peers]]\nname = 'a'\nkeys = ['{ALICE}']\n"
        "[[auth.peers]]\nname = 'b'\nkeys = ['ssh-rsa AAAA']\n",
        5,
        "auth.peers[1]: ",
    ),
    "half a key": (
        "[[auth.peers]]\nname = 'a'\nkeys = ['ed25519:00ff']\n",
        1,
        "auth.peers[0]: ",
    ),
    "no hash": (
        "[[auth.tokens]]\nname = 'ci'\nhash = 'hunter2'\n",
        3,
        "auth.tokens[0].hash: expected `str` matching regex '^sha256:",
    ),
    "a key of two peers": (
        f"[auth]\n[[auth.peers]]\nname = 'a'\nkeys = ['{ALICE}']\n"
        f"[[auth.peers]]\nname = 'b'\nkeys = ['{ALICE}']\n",
        1,
        "auth: 'b' lists a key that is also 'a''s",
    ),
    "a name of two": (
        "[auth]\n[[auth.peers]]\nname = 'a'\nkeys = []\n[[auth.tokens]]\nname = 'a'\n"
        f"hash = 'sha256:{'0' * 64}'\n",
        1,
        "auth: 'a' is named twice",
    ),
    "a target that matches nothing": (
        "[[config.forwarding.rules]]\ntarget = 'a:1'\naction = 'deny'\n"
        "[[config.forwarding.rules]]\ntarget = 'nowhere'\naction = 'deny'\n",
        4,
        "config.forwarding.rules[1]: the target 'nowhere' should read host:port",
    ),
    "an action that there is not": (
        "[[config.forwarding.rules]]\ntarget = 'a:1'\naction = 'maybe'\n",
        3,
        "config.forwarding.rules[0].action: invalid enum value 'maybe'",
    ),
}


@pytest.mark.parametrize(("text", "line", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_its_file_line_and_key(stack, text, line, words):
    path = stack(text)
    with pytest.raises(SettingsError) as caught:
        load(path)

    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ")
    assert words in message
    assert "hunter2" not in message


def test_a_fault_far_down_is_found_where_it_stands(stack):
    text = GOOD.replace('action = "deny"', 'action = "reject"')
    line = text.splitlines().index('action = "reject"') + 1

    with pytest.raises(SettingsError, match=rf"stack\.toml:{line}: config\.forwarding\.rules\[0\]"):
        load(stack(text))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(stack):
    path = stack("")
    path.chmod(0)

    with pytest.raises(SettingsError, match="permission denied"):
        load(path)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    for path, words in [
        (tmp_path / "none.toml", "no such file or directory"),
        (tmp_path, "is a directory"),
    ]:
        with pytest.raises(SettingsError) as caught:
            load(path)
        assert str(caught.value) == f"cannot read {path}: {words}"


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "stack.toml"
    path.write_bytes(b"[node]\nname = '\xff'\n")

    with pytest.raises(SettingsError, match="is not UTF-8 text, as TOML is"):
        load(path)


def test_the_node_alone_can_be_read_without_its_services(stack):
    node = load_node(stack('[node]\nname = "home"\n[auth]\nnonsense = 1\n'))

    assert node.name == "home"
