"""Decoding: every field of every type arrives, in whatever order, from either format."""

import itertools
import json

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet._core.envelope import (
    JSON,
    MSGPACK,
    CallAborted,
    CallCompleted,
    CallCredit,
    CallFailed,
    CallFinished,
    CallItem,
    CallRequested,
    CallResponded,
    Decoder,
    LinkPing,
    LinkPong,
    UnknownEvent,
)
from alknet.errors import FrameTooLarge, MalformedEnvelope

from .wire import FORMATS, decode, dumps, envelope, loads

VALUE = {"deep": [1, -2, 2.5, None, True, {"é": "日本\n\"'\\"}], "": ""}


def request(format, **changes):
    """All fields of a request, and the event that they make."""
    payload = {
        "operationId": "/head/secrets/derive",
        "input": VALUE,
        "deadline": 1_790_000_000_000,
        "parentRequestId": "6",
        "auth_token": "t",
        "forwarded_for": {"id": "n"},
        "metadata": [1],
        "window": 8,
        "idleTimeout": 500,
        "traceparent": "00-0-0-01",
        "hops": 2,
    }
    event = {
        "id": "7",
        "operation": "/head/secrets/derive",
        "input": dumps(format, VALUE),
        "format": format,
        "deadline_ms": 1_790_000_000_000,
        "parent_id": "6",
        "auth_token": "t",
        "forwarded_for": dumps(format, {"id": "n"}),
        "metadata": dumps(format, [1]),
        "window": 8,
        "idle_timeout_ms": 500,
        "traceparent": "00-0-0-01",
        "hops": 2,
    }
    return payload, CallRequested(**{**event, **changes})


@pytest.mark.parametrize("format", FORMATS)
def test_a_request_arrives_with_every_field(format):
    payload, expected = request(format)

    assert decode(format, envelope(format, "call.requested", "7", payload)) == expected


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("type", "payload", "expected"),
    [
        ("call.responded", {"output": [1]}, lambda f: CallResponded("7", dumps(f, [1]), f)),
        ("call.completed", {}, lambda _: CallCompleted("7")),
        ("call.aborted", {}, lambda _: CallAborted("7")),
        (
            "call.error",
            {"code": "NOT_FOUND", "message": "no", "retryable": True, "details": {"a": 1}},
            lambda f: CallFailed("7", "NOT_FOUND", "no", True, dumps(f, {"a": 1}), f),
        ),
        (
            "call.error",
            {"code": "X", "message": ""},
            lambda _: CallFailed("7", "X", "", False, None, "json"),
        ),
        ("call.credit", {"items": 2**64 - 1}, lambda _: CallCredit("7", 2**64 - 1)),
        ("call.item", {"item": "x"}, lambda f: CallItem("7", dumps(f, "x"), f)),
        ("call.finished", {}, lambda _: CallFinished("7")),
        ("link.ping", {}, lambda _: LinkPing("7")),
        ("link.pong", {}, lambda _: LinkPong("7")),
        ("call.later", {"x": [1]}, lambda _: UnknownEvent("call.later", "7")),
        ("", {"requestId": 1}, lambda _: UnknownEvent("", "7")),
    ],
)
def test_every_type_arrives_as_its_class(format, type, payload, expected):
    assert decode(format, envelope(format, type, "7", payload)) == expected(format)


@pytest.mark.parametrize("format", FORMATS)
def test_keys_come_in_any_order(format):
    payload, expected = request(format)
    shuffled = dict(reversed(payload.items()))
    whole = {"type": "call.requested", "id": "7", "payload": shuffled}

    for order in itertools.permutations(whole):
        assert decode(format, dumps(format, {key: whole[key] for key in order})) == expected


@pytest.mark.parametrize("format", FORMATS)
def test_null_stands_for_a_field_that_is_left_out(format):
    optional = (
        "deadline parentRequestId auth_token forwarded_for metadata window idleTimeout "
        "traceparent hops"
    )
    bare = {"operationId": "/x"}
    nulls = {**bare, **dict.fromkeys(optional.split())}

    assert (
        decode(format, envelope(format, "call.requested", "7", nulls))
        == decode(format, envelope(format, "call.requested", "7", bare))
        == CallRequested("7", "/x", dumps(format, {}), format)
    )


@pytest.mark.parametrize("format", FORMATS)
def test_an_input_of_null_stays_null_and_a_missing_output_becomes_it(format):
    null = dumps(format, None)
    payload = {"operationId": "/x", "input": None}

    assert decode(format, envelope(format, "call.requested", "7", payload)).input == null
    assert decode(format, envelope(format, "call.responded", "7", {})).output == null
    assert decode(format, envelope(format, "call.item", "7", {})).item == null


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "whole",
    [
        {"type": "call.completed", "id": "7"},
        {"type": "call.completed", "id": "7", "payload": None},
        {"payload": None, "type": "call.completed", "id": "7"},
    ],
)
def test_a_payload_may_be_left_out_or_null(format, whole):
    assert decode(format, dumps(format, whole)) == CallCompleted("7")


@pytest.mark.parametrize("format", FORMATS)
def test_unknown_fields_are_dropped_at_both_levels(format):
    whole = {
        "type": "call.completed",
        "later": [[], {}],
        "id": "7",
        "payload": {"x": {"y": 1}, "z": None, "output": 1},
        "also": "é",
    }

    assert decode(format, dumps(format, whole)) == CallCompleted("7")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("id", "request_id"),
    [("7", "7"), ("", "7")],
)
def test_the_older_dialect_has_the_id_in_the_payload(format, id, request_id):
    payload = {"requestId": request_id, "output": 1, "identity": {"scopes": ["root"]}}

    event = decode(format, envelope(format, "call.responded", id, payload))

    assert event == CallResponded("7", dumps(format, 1), format)


@pytest.mark.parametrize("format", FORMATS)
def test_the_older_dialects_deadline_of_zero_is_none_and_its_identity_is_not_believed(format):
    payload = {"operationId": "/x", "deadline": 0, "identity": {"id": "root"}, "trusted": True}

    event = decode(format, envelope(format, "call.requested", "7", payload))

    assert event == CallRequested("7", "/x", dumps(format, {}), format)


def test_header_strings_may_be_escaped_in_json_and_so_may_keys():
    data = (
        r'{"\u0074ype":"call.\u0072equested","id":"\ud83d\ude00\"\\\/\b\f\n\r\t\u00e9",'
        r'"payload":{"operation\u0049d":"\/x","parentRequest\u0049d":"\u0000"}}'
    )

    event = decode("json", data.encode())

    assert event == CallRequested('😀"\\/\b\f\n\r\té', "/x", b"{}", parent_id="\0", format="json")


def test_white_space_is_free_in_json_and_raw_values_keep_theirs():
    data = b"""
      { "type" : "call.responded" ,\t"id" : "7",\r\n "payload" : { "output" : [ 1 , 2 ] } } \n"""

    assert decode("json", data) == CallResponded("7", b"[ 1 , 2 ]", "json")


@pytest.mark.parametrize(
    "wire",
    [
        msgpack.packb({"type": "call.credit", "id": "7", "payload": {"items": 5}}),
        b"\xde\x00\x03"  # map 16, str 8, str 16, str 32, uint 64
        b"\xd9\x04type\xda\x00\x0bcall.credit"
        b"\xdb\x00\x00\x00\x02id\xa17"
        b"\xa7payload\xdf\x00\x00\x00\x01\xa5items\xcf\x00\x00\x00\x00\x00\x00\x00\x05",
        b"\x83\xa4type\xabcall.credit\xa2id\xa17\xa7payload\x81\xa5items\xd3"  # int 64
        b"\x00\x00\x00\x00\x00\x00\x00\x05",
    ],
)
def test_msgpack_may_use_a_longer_form_than_it_needs(wire):
    assert decode("msgpack", wire) == CallCredit("7", 5)


@pytest.mark.parametrize(
    "text", [b"{}", b'{"path":"m/74\'"}', b" [1] ", b'"' + b"x" * 70_000 + b'"']
)
def test_json_inside_msgpack_comes_out_as_json(text):
    payload = {"output": msgpack.ExtType(1, text)}

    event = decode("msgpack", envelope("msgpack", "call.responded", "7", payload))

    assert event == CallResponded("7", text, "json")


def test_a_request_with_only_metadata_takes_its_format():
    payload = {"operationId": "/x", "metadata": msgpack.ExtType(1, b"[1]")}

    event = decode("msgpack", envelope("msgpack", "call.requested", "7", payload))

    assert (event.input, event.metadata, event.format) == (b"{}", b"[1]", "json")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_anything_that_lends_its_bytes_can_be_fed(format, kind):
    data = envelope(format, "link.ping", "7", {})

    assert Decoder(format, framed=False).feed(kind(data)) == [LinkPing("7")]


@pytest.mark.parametrize("data", ["text", None, 7])
def test_what_lends_no_bytes_is_refused(data):
    with pytest.raises(TypeError):
        Decoder("json", framed=False).feed(data)


@pytest.mark.parametrize("format", FORMATS)
def test_one_message_is_decoded_without_a_list_and_with_the_same_faults(format):
    decoder = Decoder(format, framed=False, frame_bytes=100)

    assert decoder.decode(envelope(format, "link.ping", "7", {})) == LinkPing("7")
    assert decoder.feed(envelope(format, "link.ping", "8", {})) == [LinkPing("8")]
    with pytest.raises(FrameTooLarge):
        decoder.decode(b"x" * 101)
    for read in (decoder.decode, decoder.feed):
        with pytest.raises(FrameTooLarge, match="a frame of 101 bytes"):
            read(envelope(format, "link.ping", "9", {}))
    with pytest.raises(MalformedEnvelope, match="expected a map"):
        Decoder(format, framed=False).decode(b"0")


def test_a_framed_decoder_has_no_single_message():
    with pytest.raises(ValueError, match=r"^a framed decoder reads a stream.*: use feed\(\)$"):
        Decoder("json", framed=True).decode(b"")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("type", ["call.requested", "call.responded"])
def test_the_usual_beginning_is_no_way_around_the_rules(format, type):
    """The usual keys are known by one comparison; nothing may slip in behind it."""
    payload = {"operationId": "/x"} if type == "call.requested" else {"output": 1}
    usual = {"type": type, "id": "7", "payload": payload}
    data = dumps(format, usual)

    assert decode(format, data) == decode(format, dumps(format, dict(reversed(usual.items()))))
    assert decode(format, dumps(format, {**usual, "later": 1})) == decode(format, data)
    for change in ({"id": 7}, {"id": None}, {"payload": []}):
        with pytest.raises(MalformedEnvelope):
            decode(format, dumps(format, {**usual, **change}))
    for key in ("type", "id"):
        twice = data.replace(b"payload", key.encode(), 1)
        if format == "msgpack":
            twice = data.replace(b"\xa7payload", bytes([0xA0 + len(key)]) + key.encode(), 1)
        with pytest.raises(MalformedEnvelope, match=f"{key}: comes twice"):
            decode(format, twice)


def test_the_formats_are_strings_and_a_decoder_knows_its_own():
    assert (JSON, MSGPACK) == FORMATS
    assert [Decoder(format, framed=True).format for format in FORMATS] == ["json", "msgpack"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_name_that_comes_again_is_the_same_string(format):
    decoder = Decoder(format, framed=False)
    data = envelope(format, "call.requested", "7", {"operationId": "/head/auth/verify"})

    [one], [another] = decoder.feed(data), decoder.feed(data)

    assert one.operation is another.operation


@pytest.mark.parametrize("format", FORMATS)
def test_names_that_share_a_place_in_the_cache_are_not_confused(format):
    decoder = Decoder(format, framed=False)
    names = [f"/node-{number}/service/operation" for number in range(1000)] * 2

    for name in names:
        [event] = decoder.feed(envelope(format, "call.requested", "7", {"operationId": name}))
        assert event.operation == name


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=30,
)


@pytest.mark.parametrize("format", FORMATS)
@given(value=json_values, id=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_raw_value_is_the_very_bytes_that_came(format, value, id):
    data = envelope(format, "call.responded", id, {"output": value})

    event = decode(format, data)

    assert event.id == id
    assert event.output in data
    assert loads(format, event.output) == value


@given(value=json_values, indent=st.none() | st.integers(0, 3), escaped=st.booleans())
def test_json_of_any_style_arrives(value, indent, escaped):
    whole = {"type": "call.item", "id": "7", "payload": {"item": value}}
    data = json.dumps(whole, indent=indent, ensure_ascii=escaped).encode()

    assert json.loads(decode("json", data).item) == value
