"""Raw values: `check` agrees with the common libraries, and `transcode` with msgspec."""

import json
import math
import re
from datetime import UTC, datetime
from functools import partial

import msgpack
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alknet._core.envelope import check, transcode
from alknet.errors import MalformedEnvelope

from .wire import FORMATS, dumps, loads

text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(text, inner, max_size=20),
    max_leaves=60,
)
tokens = r"""
    { } [ ] , : " \ u00e9 \ud83d \ude00 - 0 12 123456789 .5 e+7 E true false null é "a": [] {}
"""
JSON_EXTENSIONS = (*(bytes([marker, 1]) for marker in range(0xD4, 0xD9)), b"\xc7", b"\xc8", b"\xc9")
"""Such a value must hold JSON besides; the reference does not look."""

fragments = st.lists(st.sampled_from([*tokens.split(), " ", "\n", "\t"]), max_size=12).map("".join)


def fault(raw, format):
    try:
        check(raw, format)
    except MalformedEnvelope as error:
        return error
    return None


@pytest.mark.parametrize("format", FORMATS)
@given(value=values)
def test_what_the_common_libraries_write_is_good(format, value):
    check(dumps(format, value), format)


def strict_json(raw):
    """Whether the standard library reads *raw* when it is told to be as strict as the wire."""

    def integer(text):
        if not -(2**63) <= int(text) < 2**64:
            raise ValueError(text)

    def floating(text):
        if math.isinf(float(text)):
            raise ValueError(text)

    def constant(text):
        raise ValueError(text)

    try:
        json.loads(raw, parse_int=integer, parse_float=floating, parse_constant=constant)
        # Writing it finds lone surrogates, which reading lets through.
        json.dumps(json.loads(raw), ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


@given(raw=fragments)
@example("-0")
@example("[-0.0e-0]")
@example('"\\ud83d\\ude00"')
@example('"\\ud83d"')
@example("1E400")
@example("-9223372036854775808")
@example("-9223372036854775809")
@example("18446744073709551615")
@example("18446744073709551616")
def test_json_is_good_exactly_if_a_strict_reader_says_so(raw):
    assert (fault(raw.encode(), "json") is None) == strict_json(raw)


def strict_msgpack(raw):
    """Whether the reference reads *raw* to its end, and nothing follows."""
    reader = msgpack.Unpacker(
        strict_map_key=False,
        ext_hook=lambda code, data: (code, data),  # ExtType itself refuses reserved codes
        object_pairs_hook=tuple,
        max_buffer_size=len(raw) or 1,
    )
    reader.feed(raw)
    try:
        reader.unpack()
    except (msgpack.UnpackException, ValueError):
        return False
    return reader.tell() == len(raw)


@given(raw=st.binary(max_size=40).filter(lambda raw: not raw.startswith(JSON_EXTENSIONS)))
@example(b"\xc1")
@example(b"\x91\xc1")
@example(b"\xc7\x00\x05")
@example(b"\xa1\xff")
@example(b"\x81\x90\x01")
@example(b"\x82\x01\x02\x01\x03")
def test_msgpack_is_good_exactly_if_the_reference_reads_it(raw):
    assert (fault(raw, "msgpack") is None) == strict_msgpack(raw)


@given(value=values)
def test_json_becomes_the_msgpack_of_the_same_value(value):
    raw = json.dumps(value).encode()

    made = transcode(raw, "json", "msgpack")

    assert equal(msgpack.unpackb(made, strict_map_key=False), value)
    assert made == msgspec.msgpack.encode(msgspec.json.decode(raw))


@given(value=values)
def test_msgpack_becomes_the_json_of_the_same_value(value):
    made = transcode(msgpack.packb(value), "msgpack", "json")

    assert equal(json.loads(made), value)
    check(made, "json")


@given(value=values)
def test_there_and_back_again_is_the_same_value(value):
    raw = msgpack.packb(value)

    assert transcode(transcode(raw, "msgpack", "json"), "json", "msgpack") == raw


def equal(one, other):
    """Equality that tells 1 from 1.0 and 0.0 from -0.0."""
    return repr(one) == repr(other)


@pytest.mark.parametrize("format", FORMATS)
@given(value=values)
def test_the_same_format_gives_the_same_bytes(format, value):
    raw = dumps(format, value)

    assert transcode(raw, format, format) == raw


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", '""'),
        (b"\0\xff\x10", '"AP8Q"'),
        ([b"a" * 100], None),
        ({1: 2}, '{"1":2}'),
        ({-1: 2, 2**64 - 1: 3}, '{"-1":2,"18446744073709551615":3}'),
        (datetime(2026, 11, 23, 15, 30, 1, tzinfo=UTC), '"2026-11-23T15:30:01Z"'),
        (datetime(2026, 11, 23, 15, 30, 1, 25, tzinfo=UTC), '"2026-11-23T15:30:01.000025Z"'),
        (datetime(1970, 1, 1, tzinfo=UTC), '"1970-01-01T00:00:00Z"'),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), '"1969-12-31T23:59:59Z"'),
        (datetime(1, 1, 1, tzinfo=UTC), '"0001-01-01T00:00:00Z"'),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), '"9999-12-31T23:59:59.999999Z"'),
        (datetime(2000, 2, 29, tzinfo=UTC), '"2000-02-29T00:00:00Z"'),
        (-0.0, "-0.0"),
        (1e300, "1e300"),
        (0.1, "0.1"),
    ],
)
def test_what_msgpack_has_and_json_has_not_is_said_as_msgspec_says_it(value, text):
    made = transcode(msgspec.msgpack.encode(value), "msgpack", "json")

    if text is not None:
        assert made.decode() == text
    assert json.loads(made) == json.loads(msgspec.json.encode(value))


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_every_timestamp_is_said_as_msgspec_says_it(moment):
    made = transcode(msgspec.msgpack.encode(moment), "msgpack", "json")

    assert msgspec.json.decode(made, type=datetime) == moment


def test_json_in_an_extension_is_put_in_as_it_stands():
    raw = msgpack.packb([msgpack.ExtType(1, b'{ "a": 1 }'), 2])

    assert transcode(raw, "msgpack", "json") == b'[{ "a": 1 },2]'


@pytest.mark.parametrize(
    ("raw", "source", "target", "offset", "reason"),
    [
        (msgpack.packb([math.nan]), "msgpack", "json", 1, "NaN has no form in JSON"),
        (msgpack.packb(math.inf), "msgpack", "json", 0, "inf has no form in JSON"),
        (msgpack.packb([-math.inf]), "msgpack", "json", 1, "-inf has no form in JSON"),
        (msgpack.packb({None: 1}), "msgpack", "json", 1, "null as a key has no form in JSON"),
        (msgpack.packb({True: 1}), "msgpack", "json", 1, "a boolean as a key has no form in JSON"),
        (msgpack.packb({1.5: 1}), "msgpack", "json", 1, "a float as a key has no form in JSON"),
        (msgpack.packb({b"a": 1}), "msgpack", "json", 1, "binary as a key has no form in JSON"),
        (
            msgpack.packb([msgpack.ExtType(5, b"x")]),
            "msgpack",
            "json",
            1,
            "an extension of type 5 has no form in JSON",
        ),
        (b"\xd4\xff\x00", "msgpack", "json", 0, "not a msgpack timestamp"),
        (
            b"\xc7\x0c\xff" + (10**9).to_bytes(4) + bytes(8),
            "msgpack",
            "json",
            0,
            "not a msgpack timestamp",
        ),
        (msgpack.packb(1) + b"\0", "msgpack", "json", 1,
         "expected the end of the input, found 1 more bytes"),
        (b"\x92\xd5\x01[", "msgpack", "json", 4, "the input ends inside a value"),
        (b"\x91\xd4\x01[", "msgpack", "json", 4, "expected a value, found the end of the input"),
        (b"[1,]", "json", "msgpack", 3, "expected a value, found ']'"),
        (b'["\xff"]', "json", "msgpack", 2, "invalid UTF-8"),
        (b"", "json", "json", 0, "expected a value, found the end of the input"),
        (b"", "msgpack", "msgpack", 0, "the input ends inside a value"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_with_its_place(raw, source, target, offset, reason):
    with pytest.raises(
        MalformedEnvelope, match=f"^malformed envelope at byte {offset}: "
    ) as caught:
        transcode(raw, source, target)

    assert (caught.value.offset, caught.value.reason) == (offset, reason)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_transcoding_keeps_the_limits(source, target):
    nested = dumps(source, [[["x" * 9]]])

    assert loads(target, transcode(nested, source, target, depth=3, string_bytes=9))
    with pytest.raises(MalformedEnvelope, match=r"nested deeper than 2 levels$"):
        transcode(nested, source, target, depth=2)
    with pytest.raises(MalformedEnvelope, match=r"a string of 9 bytes; the limit is 8$"):
        transcode(nested, source, target, string_bytes=8)


def test_an_extension_gives_no_way_below_the_depth():
    raw = msgpack.packb([msgpack.ExtType(1, b"[1]")])

    assert transcode(raw, "msgpack", "json", depth=2) == b"[[1]]"
    with pytest.raises(MalformedEnvelope, match=r"nested deeper than"):
        transcode(raw, "msgpack", "json", depth=1)


@pytest.mark.parametrize("function", [check, partial(transcode, target="json")])
def test_the_depth_that_can_be_asked_for_has_a_limit(function):
    message = re.escape("depth is at most 512, not 513")
    with pytest.raises(ValueError, match=f"^{message}$"):
        function(b"1", "json", depth=513)
