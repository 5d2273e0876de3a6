"""Payloads: read once, by whoever knows their type, and refused with the field at fault."""

import base64
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.call.payload import PayloadType, encode, plain
from alknet.errors import InvalidInput
from alknet.protocol.auth import CheckAccess
from alknet.protocol.secret import Decrypt, Encrypt, Sealed

FORMATS = ["json", "msgpack"]
WRITERS = {"json": msgspec.json.encode, "msgpack": msgspec.msgpack.encode}


@pytest.mark.parametrize("format", FORMATS)
@given(data=st.binary(), key_version=st.integers(-(2**63), 2**63 - 1))
def test_what_is_written_reads_the_same(format, data, key_version):
    request = Encrypt(data, key_version, b"place")

    assert PayloadType(Encrypt).decode(encode(request, format), format) == request


def test_bytes_are_base64_in_json_and_bytes_in_msgpack():
    assert msgspec.json.decode(encode(Encrypt(b"\xff\x00"), "json"))["data"] == "/wA="
    assert msgspec.msgpack.decode(encode(Encrypt(b"\xff\x00"), "msgpack"))["data"] == b"\xff\x00"


FAULTS = [
    ({}, "object missing required field `data`", "data"),
    ({"data": "", "extra": 1}, "object contains unknown field `extra`", "extra"),
    ({"data": 7}, "`data`: expected `bytes`, got `int`", "data"),
    ({"data": "not base64!"}, "`data`: invalid base64 encoded string", "data"),
    ({"data": "", "key_version": "two"}, "`key_version`: expected `int`, got `str`", "key_version"),
    ([], "expected `object`, got `array`", None),
    (None, "expected `object`, got `null`", None),
]


@pytest.mark.parametrize(("value", "words", "field"), FAULTS)
def test_a_value_that_does_not_fit_names_the_field_and_what_was_expected(value, words, field):
    with pytest.raises(InvalidInput) as caught:
        PayloadType(Encrypt).decode(msgspec.json.encode(value), "json")

    assert str(caught.value) == f"the input does not fit: {words}"
    assert caught.value.details == {"field": field}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"sealed": {"key_version": 2, "salt": "", "iv": ""}}, "sealed.data"),
        ({"sealed": {"key_version": "2", "salt": "", "iv": "", "data": ""}}, "sealed.key_version"),
        ({"sealed": 1}, "sealed"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_a_fault_deep_inside_is_named_by_its_path(value, field, format):
    with pytest.raises(InvalidInput) as caught:
        PayloadType(Decrypt).decode(WRITERS[format](value), format)

    assert caught.value.details == {"field": field}


@pytest.mark.parametrize(
    ("raw", "format"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b'"\xff"', "json"),
        (b'"\\ud800"', "json"),
        (b"[" * 3000, "json"),
        (b"", "msgpack"),
        (b"\x81", "msgpack"),
        (b"\xa1\xff", "msgpack"),
        (b"\x91" * 3000, "msgpack"),
    ],
    ids=range(9),
)
def test_bytes_that_are_no_value_at_all_are_invalid_input(raw, format):
    for type_ in (Encrypt, Any):
        with pytest.raises(InvalidInput, match="the input does not fit"):
            PayloadType(type_).decode(raw, format)


@given(st.binary(max_size=60), st.sampled_from(FORMATS))
def test_no_bytes_do_worse_than_being_refused(raw, format):
    for type_ in (Encrypt, CheckAccess, Any):
        with suppress(InvalidInput):
            PayloadType(type_).decode(raw, format)


def test_untyped_values_become_typed_and_back():
    value = {"sealed": {"key_version": 2, "salt": "a", "iv": "b", "data": "c"}}
    request = PayloadType(Decrypt).convert(value)

    assert request == Decrypt(Sealed(2, "a", "b", "c"))
    assert plain(request) == {**value, "associated_data": ""}


@pytest.mark.parametrize("data", [base64.b64encode(b"\xff\x00").decode(), b"\xff\x00"])
def test_bytes_may_stand_as_base64_text_or_as_themselves(data):
    assert PayloadType(Encrypt).convert({"data": data}).data == b"\xff\x00"


@pytest.mark.parametrize(("value", "words", "field"), FAULTS)
def test_an_untyped_value_is_refused_in_the_same_words(value, words, field):
    with pytest.raises(InvalidInput) as caught:
        PayloadType(Encrypt).convert(value)

    assert caught.value.details == {"field": field}
    assert str(caught.value) == f"the input does not fit: {words}"
