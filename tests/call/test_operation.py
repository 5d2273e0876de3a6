"""Operations as they are described: what a request type says, read once."""

import json

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet import Request
from alknet.call.operation import OperationSpec, operation_type
from alknet.errors import InvalidInput, InvalidOperationType
from alknet.protocol.secret import DeriveEd25519, Encrypt

from ..echo import Count, Say
from .test_relay import Haggle, Total

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def test_a_spec_holds_what_the_request_type_says():
    spec = operation_type(DeriveEd25519).spec

    assert spec.name == "secrets/derive"
    assert spec.namespace == "secrets"
    assert spec.kind == "mutation"
    assert spec.idempotent
    assert spec.access.all_of == ("secrets:derive",)
    assert spec.description.startswith("Derive the Ed25519 key at `path`")
    assert not spec.is_stream


def test_a_type_is_read_once():
    assert operation_type(Say) is operation_type(Say)


def test_schemas_are_json_and_name_what_is_required():
    spec = operation_type(Encrypt).spec
    schema = json.loads(json.dumps(spec.input_schema))["$defs"]["Encrypt"]

    assert schema["required"] == ["data"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["data"]["contentEncoding"] == "base64"
    assert schema["properties"]["key_version"] == {"type": "integer", "default": 2}


async def test_the_schemas_of_every_operation_are_json_schema_2020_12(node):
    """Those that a node describes, and what they say is what is taken."""
    checked = 0
    for entry in node.dispatcher.registry:
        spec = entry.spec
        schemas = [spec.input_schema, spec.output_schema, *(each.schema for each in spec.errors)]
        for schema in (*schemas, spec.item_schema or {}):
            jsonschema_rs.meta.validate({"$schema": DRAFT, **schema})
            checked += 1
    assert checked > 100


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "path": st.text(max_size=3) | st.integers() | st.none(),
            "extra": st.none(),
        },
    )
)
def test_what_a_schema_allows_is_what_is_taken(value):
    typed = operation_type(DeriveEd25519)
    allows = jsonschema_rs.Draft202012Validator(dict(typed.spec.input_schema)).is_valid(value)
    try:
        typed.input.convert(value)
    except InvalidInput:
        assert not allows
    else:
        assert allows


@pytest.mark.parametrize(
    ("request_type", "is_stream", "items"),
    [(Say, False, None), (Count, True, None), (Total, False, "integer"), (Haggle, True, "integer")],
)
def test_what_streams_and_what_takes_items_is_told_by_the_shape(request_type, is_stream, items):
    typed = operation_type(request_type)

    assert typed.spec.is_stream is is_stream
    assert (typed.spec.item_schema or {}).get("type") == items
    assert (typed.item is None) == (items is None)


def test_a_type_without_a_name_is_told_how_to_get_one():
    class Nameless(Request[int], frozen=True):
        """No operation."""

    class Inherits(Say, frozen=True):
        """A name is not inherited: two types cannot be one operation."""

    for request_type in (Nameless, Inherits):
        with pytest.raises(TypeError, match=r"write @operation\('namespace/verb'\) above it"):
            operation_type(request_type)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("query", "a/b is a query: call it instead"),
        ("mutation", "a/b is a mutation: call it instead"),
        ("subscription", "a/b is a subscription: stream it instead"),
        ("upload", "a/b is an upload: upload to it instead"),
        ("duplex", "a/b is a duplex: open a duplex to it instead"),
    ],
)
def test_an_operation_asked_as_something_else_says_how_to_ask(kind, words):
    spec = OperationSpec(name="a/b", kind=kind)
    other = "query" if kind != "query" else "duplex"

    spec.expect(kind)
    with pytest.raises(InvalidOperationType) as caught:
        spec.expect(other)
    assert str(caught.value) == words
