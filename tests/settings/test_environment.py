"""The environment goes before stack.toml, key by key, and is checked like it."""

import pytest

from alknet.errors import SettingsError
from alknet.settings import load, load_node
from alknet.stack import shapes

FILE = """
[node]
name = "home"
drain = 2.5
[config.rate_limits]
calls_per_second = 5
max_auth_attempts = 3
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "stack.toml"
    path.write_text(FILE)
    return path


def read(path, **environment):
    return load(path, shapes(), environment)


def test_without_variables_of_ours_the_file_stands(path):
    others = {"ALKNET_IDENTITY": "x", "PATH": "y", "alknet__node__name": "z"}

    assert load(path, shapes(), others) == load(path, shapes(), {})


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.5", 1.5), ("2", 2.0), ("0", 0.0)],
)
def test_a_number_is_read_as_one(path, text, value):
    assert read(path, ALKNET__NODE__DRAIN=text).node.drain == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("head-2", "head-2"), ('"head-2"', "head-2"), ("'7'", "7"), ("a.b", "a.b")],
)
def test_text_needs_no_quotes(path, text, value):
    assert read(path, ALKNET__NODE__NAME=text).node.name == value


def test_an_array_is_replaced_whole_and_a_table_key_by_key(path):
    settings = read(
        path,
        ALKNET__NODE__LISTEN='["ws://127.0.0.1:1", "tcp://127.0.0.1:2"]',
        ALKNET__CONFIG__RATE_LIMITS__CALLS_PER_SECOND="9",
    )
    limits = settings.services["config"].rate_limits

    assert settings.node.listen == ("ws://127.0.0.1:1", "tcp://127.0.0.1:2")
    assert (limits.calls_per_second, limits.max_auth_attempts) == (9, 3)
    assert settings.node.name == "home"


def test_a_table_may_be_given_whole_and_then_changed(path):
    settings = read(
        path,
        ALKNET__CONFIG__RATE_LIMITS="{calls_per_second = 1, max_auth_attempts = 1}",
        ALKNET__CONFIG__RATE_LIMITS__MAX_AUTH_ATTEMPTS="2",
    )
    limits = settings.services["config"].rate_limits

    assert (limits.calls_per_second, limits.max_auth_attempts) == (1, 2)


def test_a_service_can_be_turned_on(path):
    assert "secrets" in read(path, ALKNET__SECRETS="{}").services
    assert read(path, ALKNET__STORAGE__PATH="other.db").services["storage"].path == "other.db"


def test_the_node_alone_is_read_with_its_variables_too(path):
    node = load_node(path, {"ALKNET__NODE__NAME": "other", "ALKNET__WEATHER__CITY": "Rome"})

    assert node.name == "other"


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("ALKNET__NODE__DRAIN", "-1", "node.drain: expected `float` >= 0.0"),
        ("ALKNET__NODE__NAME", "a b", "node.name: 'a b' should be up to 63 letters"),
        ("ALKNET__NODE__NAME", "7", "node.name: expected `str`, got `int`"),
        ("ALKNET__NODE__DRIAN", "1", "node.drian: there is no such key; did you mean `drain`?"),
        ("ALKNET__NODES__NAME", "x", "nodes: there is no table [nodes]; did you mean `node`?"),
        ("ALKNET__SECRETS__PHRASE", "hunter2", "secrets.phrase: there is no such key"),
        (
            "ALKNET__CONFIG__RATE_LIMITS__CALLS",
            "1",
            "config.rate_limits.calls: there is no such key; there are `burst_seconds`",
        ),
        ("ALKNET__NODE__NAME__X", "1", "node.name is no table with keys of its own"),
        ("ALKNET__NODE__", "1", "the variable should name a key of stack.toml"),
        ("ALKNET__", "1", "the variable should name a key of stack.toml"),
    ],
)
def test_a_fault_is_told_with_the_variable(path, variable, text, message):
    with pytest.raises(SettingsError) as caught:
        load(path, shapes(), {variable: text})

    assert str(caught.value).startswith(f"{variable}: {message}")
    assert "hunter2" not in str(caught.value)


def test_a_fault_of_the_file_is_still_told_with_its_line(path):
    path.write_text(FILE.replace("2.5", "-2.5"))
    with pytest.raises(SettingsError, match=r"stack\.toml:4: node\.drain"):
        read(path, ALKNET__NODE__NAME="x")
