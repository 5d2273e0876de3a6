"""Encoding: what is appended is what a peer reads, and what cannot be sent leaves no trace."""

import json
import re
import struct

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet._core.envelope import (
    CallAborted,
    CallCompleted,
    CallCredit,
    CallFailed,
    CallFinished,
    CallItem,
    CallRequested,
    CallResponded,
    Decoder,
    Encoder,
    LinkPing,
    LinkPong,
)
from alknet.errors import LocalProtocolError

from .wire import FORMATS, decode, dumps, encode, loads

EVENTS = [
    (lambda e, raw: e.responded("7", raw), lambda f, raw: CallResponded("7", raw, f)),
    (lambda e, _: e.completed("7"), lambda _f, _r: CallCompleted("7")),
    (lambda e, _: e.aborted("7"), lambda _f, _r: CallAborted("7")),
    (
        lambda e, raw: e.failed("7", "NOT_FOUND", 'no "x"\n', True, raw),
        lambda f, raw: CallFailed("7", "NOT_FOUND", 'no "x"\n', True, raw, f),
    ),
    (
        lambda e, _: e.failed("7", "X", ""),
        lambda _f, _r: CallFailed("7", "X", "", False, None),
    ),
    (lambda e, _: e.credit("7", 2**64 - 1), lambda _f, _r: CallCredit("7", 2**64 - 1)),
    (lambda e, raw: e.item("7", raw), lambda f, raw: CallItem("7", raw, f)),
    (lambda e, _: e.finished("7"), lambda _f, _r: CallFinished("7")),
    (lambda e, _: e.ping("7"), lambda _f, _r: LinkPing("7")),
    (lambda e, _: e.pong("7"), lambda _f, _r: LinkPong("7")),
]

REQUEST = {
    "deadline_ms": 1_790_000_000_000,
    "parent_id": "6",
    "auth_token": "t",
    "window": 8,
    "idle_timeout_ms": 500,
    "traceparent": "00-0-0-01",
    "hops": 0,
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("append", "expected"), EVENTS)
def test_what_is_appended_is_what_a_peer_reads(format, append, expected):
    raw = dumps(format, {"a": [1, "é"]})

    data = encode(format, lambda encoder: append(encoder, raw))

    assert decode(format, data) == expected(format, raw)
    assert loads(format, data).keys() == {"type", "id", "payload"}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("absent", [*REQUEST, "metadata", "forwarded_for", None])
def test_a_request_is_sent_with_the_fields_that_it_has_and_no_other(format, absent):
    raw = dumps(format, {"a": 1})
    fields = {**REQUEST, "metadata": raw, "forwarded_for": raw}
    fields.pop(absent, None)

    data = encode(format, lambda encoder: encoder.requested("7", "/x", raw, **fields))

    assert decode(format, data) == CallRequested("7", "/x", raw, format, **fields)
    assert len(loads(format, data)["payload"]) == 2 + len(fields)


def test_an_envelope_reads_as_the_specification_writes_it():
    def append(encoder):
        encoder.requested("7", "/head/secrets/derive", b'{"path":"m"}', deadline_ms=1, window=2)

    assert encode("json", append) == (
        b'{"type":"call.requested","id":"7","payload":{"operationId":"/head/secrets/derive",'
        b'"deadline":1,"window":2,"input":{"path":"m"}}}'
    )


text = st.text(st.characters(exclude_categories=["Cs"]))
counts = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("format", FORMATS)
@given(
    id=text,
    operation=text,
    value=st.dictionaries(text, st.integers() | text, max_size=20),
    parent_id=st.none() | text,
    deadline_ms=st.none() | counts.filter(bool),
    window=st.none() | counts,
)
def test_any_header_arrives_as_it_was_given(
    format, id, operation, value, parent_id, deadline_ms, window
):
    raw = json.dumps(value).encode() if format == "json" else msgspec.msgpack.encode(str(value))
    header = {"parent_id": parent_id, "deadline_ms": deadline_ms, "window": window}

    data = encode(format, lambda encoder: encoder.requested(id, operation, raw, **header))

    if format == "msgpack" or all(abs(v) < 2**63 for v in value.values() if isinstance(v, int)):
        assert decode(format, data) == CallRequested(id, operation, raw, format, **header)
    assert loads(format, data)["payload"]["operationId"] == operation


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536, 100_000])
def test_strings_of_every_length_class_arrive(format, size):
    data = encode(format, lambda encoder: encoder.failed("7", "x" * size, "é" * size))

    assert decode(format, data) == CallFailed("7", "x" * size, "é" * size)
    assert loads(format, data)["payload"]["message"] == "é" * size


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bits", range(65))
def test_numbers_of_every_length_class_arrive(format, bits):
    for items in {max(2**bits - 1, 0), min(2**bits, 2**64 - 1)}:
        data = encode(format, lambda encoder, items=items: encoder.credit("7", items))

        assert decode(format, data) == CallCredit("7", items)
        assert loads(format, data)["payload"] == {"items": items}


def test_msgpack_is_written_in_its_shortest_form():
    def append(encoder):
        encoder.requested("x" * 40, "/x", b"\x80", deadline_ms=1_790_000_000_000, window=200)

    data = encode("msgpack", append)

    assert data == msgpack.packb(msgpack.unpackb(data))


@pytest.mark.parametrize("format", FORMATS)
def test_the_size_of_each_envelope_is_returned_and_pending_adds_them_up(format):
    encoder = Encoder(format, framed=True)
    raw = dumps(format, [1])

    sizes = [append(encoder, raw) for append, _ in EVENTS]

    assert encoder.pending == sum(sizes)
    [run] = encoder.take()
    for size in sizes:
        assert struct.unpack(">I", run[:4]) == (size - 4,)
        run = run[size:]
    assert run == b""


@pytest.mark.parametrize("format", FORMATS)
def test_take_gives_one_run_of_frames_or_one_object_an_envelope_and_leaves_nothing(format):
    framed, unframed = Encoder(format, framed=True), Encoder(format, framed=False)
    raw = dumps(format, [1])
    for encoder in (framed, unframed):
        assert encoder.take() == []
        for _ in range(2):
            for append, _ in EVENTS:
                append(encoder, raw)

    [run] = framed.take()
    messages = unframed.take()

    assert len(messages) == 2 * len(EVENTS)
    assert run == b"".join(struct.pack(">I", len(message)) + message for message in messages)
    expected = [event(format, raw) for _, event in EVENTS] * 2
    assert Decoder(format, framed=True).feed(run) == expected
    for encoder in (framed, unframed):
        assert encoder.pending == 0
        assert encoder.take() == []
        encoder.ping("1")
        assert len(encoder.take()) == 1


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("format", FORMATS)
def test_an_envelope_above_the_limit_is_refused_and_leaves_the_buffer_as_it_was(format, framed):
    size = len(encode(format, lambda encoder: encoder.responded("7", dumps(format, "x" * 100))))
    encoder = Encoder(format, framed=framed, frame_bytes=size)
    encoder.ping("1")
    before = encoder.pending

    with pytest.raises(
        LocalProtocolError,
        match=rf"^an envelope of {size + 1} bytes cannot be sent: the limit is {size} \(send less",
    ):
        encoder.responded("7", dumps(format, "x" * 101))
    with pytest.raises(LocalProtocolError, match=r"the limit is"):
        encoder.responded("7", dumps(format, "x" * 10_000))

    assert encoder.pending == before
    encoder.responded("7", dumps(format, "x" * 100))
    events = []
    decoder = Decoder(format, framed=framed, frame_bytes=size)
    for data in encoder.take():
        events += decoder.feed(data)
    assert events == [LinkPing("1"), CallResponded("7", dumps(format, "x" * 100), format)]


@pytest.mark.parametrize(
    ("append", "message"),
    [
        (lambda e: e.responded("7", b""), "output: empty: a raw value is the bytes of exactly one"),
        (lambda e: e.item("7", b""), "item: empty: a raw value is the bytes of exactly one value"),
        (lambda e: e.requested("7", "/x", b""), "input: empty: a raw value is the bytes of"),
        (lambda e: e.requested("7", "/x", b"1", metadata=b""), "metadata: empty: a raw value is"),
        (lambda e: e.failed("7", "X", "", details=b""), "details: empty: a raw value is the bytes"),
        (lambda e: e.ping("\ud800"), "id holds a lone surrogate, which no UTF-8 text can"),
        (lambda e: e.requested("7", "\udfff", b"1"), "operation holds a lone surrogate, which no"),
        (lambda e: e.requested("7", "/", b"1", parent_id="\ud800"), "parent_id holds a lone surro"),
        (lambda e: e.failed("7", "\ud800", ""), "code holds a lone surrogate, which no UTF-8 text"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_what_cannot_be_sent_is_named_and_leaves_no_trace(format, append, message):
    encoder = Encoder(format, framed=True)

    with pytest.raises(LocalProtocolError, match=f"^{re.escape(message)}"):
        append(encoder)

    assert encoder.take() == []


@pytest.mark.parametrize("format", FORMATS)
def test_an_error_gets_through_even_if_its_message_is_not_text(format):
    data = encode(format, lambda encoder: encoder.failed("7", "X", "no file a\udc80b"))

    assert re.fullmatch("no file a\ufffd+b", decode(format, data).message)


@pytest.mark.parametrize(
    ("append", "error"),
    [
        (lambda e: e.credit("7", -1), OverflowError),
        (lambda e: e.credit("7", 2**64), OverflowError),
        (lambda e: e.credit("7", "1"), TypeError),
        (lambda e: e.responded("7", "text"), TypeError),
        (lambda e: e.responded(7, b"1"), TypeError),
        (lambda e: e.responded("7", b"1", "xml"), ValueError),
    ],
)
def test_an_argument_of_the_wrong_type_is_the_callers_mistake(append, error):
    encoder = Encoder("json", framed=True)

    with pytest.raises(error):
        append(encoder)

    assert encoder.pending == 0


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"[1", "output: expected ',' or ']', found the end of the input (at byte 2 of the value)"),
        (b'1,"x":2', "output: expected the end of the input, found ',' (at byte 1 of the value)"),
        (b"\xff", "output: expected a value, found"),
    ],
)
def test_a_checked_encoder_reads_every_raw_value_before_it_sends_it(raw, reason):
    encoder = Encoder("json", framed=False, checked=True)

    with pytest.raises(LocalProtocolError, match=f"^{re.escape(reason)}"):
        encoder.responded("7", raw)

    encoder.responded("7", b"[1]")
    assert len(encoder.take()) == 1


@pytest.mark.parametrize("size", [0, 1, 2, 14, 253, 254, 65_533, 65_534, 100_000])
def test_json_goes_into_a_msgpack_envelope_as_it_stands_and_comes_out_so(size):
    text = b'"' + b"x" * size + b'"'

    def append(encoder):
        encoder.requested("7", "/x", text, input_format="json", metadata=b"{}", forwarded_for=b"[]")

    data = encode("msgpack", append)

    payload = msgpack.unpackb(data)["payload"]
    assert payload["input"] == msgpack.ExtType(1, text)
    assert payload["metadata"] == msgpack.ExtType(1, b"{}")
    event = decode("msgpack", data)
    assert (event.input, event.metadata, event.forwarded_for) == (text, b"{}", b"[]")
    assert event.format == "json"


@pytest.mark.parametrize(
    "append",
    [
        lambda e, raw: e.requested("7", "/x", raw, input_format="msgpack", metadata=raw),
        lambda e, raw: e.responded("7", raw, "msgpack"),
        lambda e, raw: e.item("7", raw, item_format="msgpack"),
        lambda e, raw: e.failed("7", "X", "", details=raw, details_format="msgpack"),
    ],
)
def test_msgpack_is_transcoded_for_a_json_envelope(append):
    raw = msgpack.packb({"a": [1, b"\0\xff", None]})

    data = encode("json", lambda encoder: append(encoder, raw))

    payload = json.loads(data)["payload"]
    assert {"a": [1, "AP8=", None]} in payload.values()
    assert decode("json", data).format == "json"


def test_msgpack_that_json_cannot_say_is_refused_and_leaves_no_trace():
    encoder = Encoder("json", framed=True)

    with pytest.raises(
        LocalProtocolError, match=r"^output: NaN has no form in JSON \(at byte 1 of the value\)$"
    ):
        encoder.responded("7", msgpack.packb([float("nan")]), "msgpack")

    assert encoder.take() == []


def test_an_encoder_knows_its_format():
    assert [Encoder(format, framed=True).format for format in FORMATS] == ["json", "msgpack"]
