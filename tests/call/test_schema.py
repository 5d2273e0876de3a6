"""Schemas: a value of a hand-made operation is let in if, and only if, its schema allows it."""

import base64

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.call.payload import encode
from alknet.call.schema import SchemaType
from alknet.errors import InvalidInput

PET = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": ["integer", "null"]},
        "kind": {"enum": ["cat", "dog"]},
        "owners": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"email": {"type": "string", "pattern": "^[^@]+@[^@]+$"}},
                "required": ["email"],
            },
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}

FAULTS = [
    ({}, "name", "`name`: it is required and missing"),
    ({"name": 7}, "name", "`name`: expected string"),
    ({"name": "Tom", "age": "two"}, "age", "`age`: expected integer or null"),
    ({"name": "Tom", "tail": 1}, "tail", "`tail`: there is no such field"),
    ({"name": "Tom", "owners": [{}]}, "owners[0].email", "`owners[0].email`: it is required and missing"),
    ({"name": "Tom", "kind": "hunter2"}, "kind", '`kind`: the value is not one of "cat" or "dog"'),
    (
        {"name": "Tom", "owners": [{"email": "a@b"}, {"email": "hunter2"}]},
        "owners[1].email",
        '`owners[1].email`: the value does not match "^[^@]+@[^@]+$"',
    ),
    ({"name": ""}, "name", "`name`: the value is shorter than 1 character"),
    ([], None, "expected object"),
    (None, None, "expected object"),
    ({"age": "two", "kind": 3}, "name", "`name`: it is required and missing (and 2 more)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "field", "words"), FAULTS)
@pytest.mark.parametrize("format", ["json", "msgpack", None])
def test_what_does_not_fit_is_told_by_field_and_by_what_was_expected(value, field, words, format):
    pets = SchemaType(PET, "input")
    with pytest.raises(InvalidInput) as caught:
        pets.convert(value) if format is None else pets.decode(encode(value, format), format)

    assert str(caught.value) == f"the input does not fit: {words}"
    assert caught.value.details == {"field": field}
    assert "hunter2" not in str(caught.value), "a value may be a secret"


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "age", "owners", "email"]), inner)
        ),
        max_leaves=8,
    ),
    st.sampled_from(["json", "msgpack"]),
)
def test_a_value_is_let_in_if_and_only_if_the_schema_allows_it(value, format):
    raw = encode(value, format)
    if jsonschema_rs.Draft202012Validator(PET).is_valid(value):
        assert SchemaType(PET, "input").decode(raw, format) == value
    else:
        with pytest.raises(InvalidInput):
            SchemaType(PET, "input").decode(raw, format)


def test_bytes_of_msgpack_are_base64_text_as_json_would_have_them():
    raw = msgspec.msgpack.encode({"data": b"\xff\x00"})
    read = SchemaType({"properties": {"data": {"type": "string"}}}, "input").decode(raw, "msgpack")

    assert base64.b64decode(read["data"]) == b"\xff\x00"


def test_what_is_read_is_the_readers_own():
    given = {"tags": ["a"]}
    read = SchemaType({}, "input").convert(given)
    read["tags"].append("b")

    assert given == {"tags": ["a"]}


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": 1 + 2j}, {"a": "\ud800"}, {"a": {1}}])
def test_what_json_cannot_say_never_crashes_the_check(value):
    closed = SchemaType({"properties": {"a": {"type": "null"}}}, "input")
    with pytest.raises(InvalidInput):
        closed.convert(value)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "text"}, "the input is no JSON Schema (2020-12): "),
        ({"$ref": "https://example.org/x"}, "refers to https://example.org/x"),
        ({"$ref": "file:///etc/passwd"}, "refers to file:///etc/passwd"),
        ({"pattern": "(?=a)b"}, "the input is no JSON Schema (2020-12): "),
    ],
)
def test_a_schema_that_is_none_or_leads_elsewhere_is_refused_at_once(schema, words):
    with pytest.raises(ValueError, match="is no JSON Schema") as caught:
        SchemaType(schema, "input")
    assert words in str(caught.value)
