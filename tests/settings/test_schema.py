"""The JSON Schema of stack.toml says what the reader of stack.toml says."""

import tomllib

import jsonschema_rs
import pytest

from alknet import load
from alknet.cli.stack_toml import PROFILES, stack_toml
from alknet.errors import SettingsError
from alknet.stack import settings_schema

SCHEMA = settings_schema()
VALID = jsonschema_rs.Draft202012Validator(SCHEMA)


def test_it_is_a_schema_itself():
    assert jsonschema_rs.meta.is_valid(SCHEMA)


@pytest.mark.parametrize("name", sorted(SCHEMA["$defs"]))
def test_every_key_is_described(name):
    definition = SCHEMA["$defs"][name]

    assert definition["description"]
    for key, value in definition["properties"].items():
        assert f"`{key}`" in value["description"], key


@pytest.mark.parametrize("profile", PROFILES)
def test_what_init_writes_fits_it(profile):
    text = stack_toml(
        profile=PROFILES[profile],
        name="x",
        listen="ws://127.0.0.1:0",
        identity="SHA256:" + "A" * 43,
        operator="ssh-ed25519 AAAA",
    )

    VALID.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "[nodes]",
        "[node]\ndrian = 1",
        "[node]\ndrain = -1",
        "[node]\nname = 7",
        "[node]\nname = 'a b'",
        "[node]\nlisten = ['http://x']",
        "[secrets]\nphrase = 'x'",
        "[[auth.peers]]\nkeys = []",
        "[[auth.tokens]]\nname = 'a'\nhash = 'x'",
        "[config.forwarding]\ndefault = 'maybe'",
        "[[config.forwarding.rules]]\ntarget = 'a:1'\naction = 'allow'\ntransports = ['pigeon']",
        "[config.rate_limits]\ncalls_per_second = -1",
        "[storage]\nkeep_events = 1",
    ],
)
def test_what_it_refuses_is_refused_when_read_too(tmp_path, text):
    path = tmp_path / "stack.toml"
    path.write_text(text)

    assert not VALID.is_valid(tomllib.loads(text))
    with pytest.raises(SettingsError):
        load(path)
