"""Every way in which bytes can fail to be an envelope, with the exact words and the exact place."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet._core.envelope import Decoder, Event
from alknet.errors import MalformedEnvelope

from .wire import FORMATS, decode, dumps, envelope


def refuse(format, data, **limits):
    with pytest.raises(MalformedEnvelope) as caught:
        decode(format, data, **limits)
    return caught.value


# In the tables below, ~ stands before the byte at which the fault is.
WHOLE = [
    ("~", "envelope: expected a map, found the end of the input"),
    ("  ~", "envelope: expected a map, found the end of the input"),
    ("~[]", "envelope: expected a map, found an array"),
    ("~null", "envelope: expected a map, found null"),
    ('~"x"', "envelope: expected a map, found a string"),
    ("~7", "envelope: expected a map, found a number"),
    ("~true", "envelope: expected a map, found a boolean"),
    ("~\ufeff{}", r"envelope: expected a map, found '\u{feff}'"),
    ("{~", "envelope: expected a key or '}', found the end of the input"),
    ("{~type:1}", "envelope: expected a key or '}', found 't'"),
    ("{~'type':1}", r"envelope: expected a key or '}', found '\''"),
    ('{"type"~', "envelope: expected ':', found the end of the input"),
    ('{"type" ~"x"}', "envelope: expected ':', found a string"),
    ('{"type":~', "type: expected a string, found the end of the input"),
    ('{"type":"x~', "type: the input ends inside a string"),
    ('{"type":"x\\~', "type: the input ends inside a string"),
    ('{"type":"x"~', "envelope: expected ',' or '}', found the end of the input"),
    ('{"type":"x",~', "envelope: expected a key, found the end of the input"),
    ('{"type":"x",~}', "envelope: expected a key, found '}'"),
    ('{"type":"x",~1:2}', "envelope: expected a key, found a number"),
    ("~{}", "type: missing"),
    ('~{"id":"1"}', "type: missing"),
    ('~{"type":"x"}', "id: missing"),
    ('{"type":~1,"id":"1"}', "type: expected a string, found a number"),
    ('{"type":~null,"id":"1"}', "type: expected a string, found null"),
    ('{"type":"x","id":~7}', "id: expected a string, found a number"),
    ('{"type":"x","id":"1",~"id":"1"}', "id: comes twice"),
    ('{"type":"x","\\u0069d":"1",~"id":"1"}', "id: comes twice"),
    ('{"type":"x","id":"1",~"\\u0069d":"1"}', "id: comes twice"),
    ('{"type":"x",~"type":"x"}', "type: comes twice"),
    ('{"payload":{},~"payload":{}}', "payload: comes twice"),
    ('{"type":"x","id":"1","a":1,~"a":2}', '"a": comes twice'),
    ('{"type":"x","id":"1","payload":{"a":1,~"\\u0061":2}}', 'payload."a": comes twice'),
    ('{"type":"x","id":"1","payload":~[]}', "payload: expected a map, found an array"),
    ('{"payload":~[],"type":"x","id":"1"}', "payload: expected a map, found an array"),
    ('{"payload":{"a":-~},"type":"x","id":"1"}', "payload: expected a digit, found '}'"),
    ('{"type":"x","id":"1"}~x', "expected the end of the input, found 'x'"),
    ('{"type":"x","id":"1"} ~{}', "expected the end of the input, found a map"),
    ('{"type":"x","id":"1"}~\0', r"expected the end of the input, found '\0'"),
    ('{"type":"x","id":"1","a\\n":~tru}', "\"a\\n\": expected a value, found 't'"),
    (
        '{"type":"x","id":"1","' + "k" * 60 + '":~?}',
        '"' + "k" * 40 + "\"…: expected a value, found '?'",
    ),
    ('~{"type":"call.requested","id":"1"}', "payload.operationId: missing"),
    ('~{"type":"call.error","id":"1"}', "payload.code: missing"),
    ('~{"type":"call.credit","id":"1"}', "payload.items: missing"),
]

REQUEST = [
    ("~{}", "operationId: missing"),
    ('{"operationId":~1}', "operationId: expected a string, found a number"),
    ('{"operationId":~null}', "operationId: expected a string, found null"),
    ('{"operationId":"x",~"operationId":"x"}', "operationId: comes twice"),
    ('{"deadline":~"y"}', "deadline: expected an integer, found a string"),
    ('{"deadline":~-1}', "deadline: must not be negative"),
    ('{"deadline":~-0}', "deadline: must not be negative"),
    ('{"deadline":~[]}', "deadline: expected an integer, found an array"),
    (
        '{"deadline":~1.5}',
        "deadline: expected an integer, found a number with a fraction or an exponent",
    ),
    (
        '{"deadline":~1790000000000e0}',
        "deadline: expected an integer, found a number with a fraction or an exponent",
    ),
    (
        '{"deadline":~18446744073709551616}',
        "deadline: an integer of 20 characters does not fit 64 bits",
    ),
    ('{"window":~01}', "window: a number with a leading zero"),
    ('{"window":~000000000}', "window: a number with a leading zero"),
    ('{"hops":~true}', "hops: expected an integer, found a boolean"),
    ('{"idleTimeout":~{}}', "idleTimeout: expected an integer, found a map"),
    ('{"parentRequestId":~7}', "parentRequestId: expected a string, found a number"),
    ('{"auth_token":~{}}', "auth_token: expected a string, found a map"),
    ('{"traceparent":~false}', "traceparent: expected a string, found a boolean"),
    ('{"operationId":"x","requestId":~"2"}', 'requestId: "2" is not the id of the envelope, "1"'),
    ('{"operationId":"x","requestId":~2}', "requestId: expected a string, found a number"),
    ('{"requestId":"1",~"requestId":"1"}', "requestId: comes twice"),
    ('{"input":1,~"input":1}', "input: comes twice"),
    ('{"metadata":~nul}', "metadata: expected a value, found 'n'"),
    ('{"forwarded_for":{"a":~}}', "forwarded_for: expected a value, found '}'"),
    ('{"input":~NaN}', "input: expected a value, found NaN, which is not JSON"),
    ('{"input":[~Infinity]}', "input: expected a value, found Infinity, which is not JSON"),
    ('{"input":[-~Infinity]}', "input: expected a digit, found Infinity, which is not JSON"),
    ('{"input":[1,~]}', "input: expected a value, found ']'"),
    ('{"input":[~,1]}', "input: expected a value, found ','"),
    ('{"input":[1 ~2]}', "input: expected ',' or ']', found a number"),
    ('{"input":{"a":1 ~"b":2}}', "input: expected ',' or '}', found a string"),
    ('{"input":{"a":1,~}}', "input: expected a key, found '}'"),
    ('{"input":{~1:2}}', "input: expected a key or '}', found a number"),
    ('{"input":~+1}', "input: expected a value, found '+'"),
    ('{"input":~.5}', "input: expected a value, found '.'"),
    ('{"input":1.~}', "input: expected a digit, found '}'"),
    ('{"input":1e~}', "input: expected a digit, found '}'"),
    ('{"input":1e+~}', "input: expected a digit, found '}'"),
    ('{"input":-~}', "input: expected a digit, found '}'"),
    ('{"input":-~00}', "input: a number with a leading zero"),
    ('{"input":~1e999}', "input: a number that no double can hold"),
    ('{"input":~' + "9" * 310 + ".5}", "input: a number that no double can hold"),
    (
        '{"input":{"a":~18446744073709551616}}',
        "input: an integer of 20 characters does not fit 64 bits",
    ),
    (
        '{"input":{"a":~-9223372036854775809}}',
        "input: an integer of 20 characters does not fit 64 bits",
    ),
    ('{"input":~tru}', "input: expected a value, found 't'"),
    ('{"input":"~\\ud800"}', r"input: lone surrogate \ud800"),
    ('{"input":"~\\udc00"}', r"input: lone surrogate \udc00"),
    ('{"input":"~\\ud800\\u0041"}', r"input: lone surrogate \ud800"),
    ('{"input":"~\\ud800\\n"}', r"input: lone surrogate \ud800"),
    ('{"input":"~\\x41"}', "input: unknown escape inside a string"),
    ('{"input":"\\u00~g0"}', r"input: \u must be followed by four hexadecimal digits"),
    ('{"input":"a~\nb"}', "input: control character 0x0a inside a string"),
    ('{"input":{"a~\0":1}}', "input: control character 0x00 inside a string"),
]

OTHERS = [
    ("call.error", '~{"code":"x"}', "message: missing"),
    ("call.error", '~{"message":"x"}', "code: missing"),
    ("call.error", '{"code":~null}', "code: expected a string, found null"),
    ("call.error", '{"retryable":~1}', "retryable: expected a boolean, found a number"),
    ("call.error", '{"details":~}', "details: expected a value, found '}'"),
    ("call.credit", "~{}", "items: missing"),
    ("call.credit", '{"items":~null}', "items: expected an integer, found null"),
    ("call.credit", '{"items":~-1}', "items: must not be negative"),
    ("call.responded", '{"output":1,~"output":1}', "output: comes twice"),
    ("call.item", '{"item":~}', "item: expected a value, found '}'"),
]


@pytest.mark.parametrize(("marked", "reason"), WHOLE)
def test_a_bad_json_envelope_says_what_and_where(marked, reason):
    offset = len(marked[: marked.index("~")].encode())

    error = refuse("json", marked.replace("~", "").encode())

    assert (error.offset, error.reason) == (offset, reason)
    assert str(error) == f"malformed envelope at byte {offset}: {reason}"
    assert error.events == []


@pytest.mark.parametrize(
    ("type", "marked", "reason"),
    [("call.requested", *row) for row in REQUEST] + OTHERS,
)
def test_a_bad_json_payload_names_the_field(type, marked, reason):
    test_a_bad_json_envelope_says_what_and_where(
        f'{{"type":"{type}","id":"1","payload":{marked}}}', f"payload.{reason}"
    )


def request(**payload):
    return envelope("msgpack", "call.requested", "1", {"operationId": "x", **payload})


PREFIX = len(request()) + len(b"\xa5input")
"""Where the value of one more field of five letters begins."""


@pytest.mark.parametrize(
    ("data", "offset", "reason"),
    [
        (b"", 0, "envelope: the input ends inside a value"),
        (b"\xc1", 0, "envelope: 0xc1 is not a msgpack marker"),
        (b"\x90", 0, "envelope: expected a map, found an array"),
        (b"\xc0", 0, "envelope: expected a map, found null"),
        (b"\x83", 1, "envelope: the input ends inside a value"),
        (b"\xdf\xff\xff\xff\xff", 5, "envelope: the input ends inside a value"),
        (dumps("msgpack", {"type": "x", "id": "1"}) + b"\0\0", 13,
         "expected the end of the input, found 2 more bytes"),
        (dumps("msgpack", {1: 2}), 1,
         "envelope: expected a key that is a string, found an integer"),
        (dumps("msgpack", {None: 2}), 1, "envelope: expected a key that is a string, found null"),
        (dumps("msgpack", {b"type": 2}), 1,
         "envelope: expected a key that is a string, found binary"),
        (dumps("msgpack", {"type": b"x"}), 6, "type: expected a string, found binary"),
        (dumps("msgpack", {"type": "x", "id": 1}), 11, "id: expected a string, found an integer"),
        (envelope("msgpack", "x", "1", 1), 21, "payload: expected a map, found an integer"),
        (b"\x82\xa4type\xa1x\xa4type\xa1x", 8, "type: comes twice"),
        (b"\x82\xa1a\xa1x\xa1a\xa1x", 5, '"a": comes twice'),
        (b"\x81\xa4type\xa2\xff\xff", 7, "type: invalid UTF-8"),
        (b"\x81\xa1\xff\x01", 2, "envelope: invalid UTF-8"),
        (b"\x81\xa4type\xdb\xff\xff\xff\xff", 11,
         "type: a string of 4294967295 bytes; the limit is 16777216"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", 8, '"a": the input ends inside a value'),
        (b"\x81\xa1a\xc1", 3, '"a": 0xc1 is not a msgpack marker'),
        (b"\x81\xa1a\x91\xc1", 4, '"a": 0xc1 is not a msgpack marker'),
        (b"\x81\xa1a\xc7\x05\x02", 6, '"a": the input ends inside a value'),
        (b"\x81\xa1a\xcf\x00", 5, '"a": the input ends inside a value'),
        (b"\x81\xa1a\x92\xa1b\xa1\xff", 7, '"a": invalid UTF-8'),
        (request(deadline=-1), PREFIX + 3, "payload.deadline: must not be negative"),
        (request(deadline=-(2**40)), PREFIX + 3, "payload.deadline: must not be negative"),
        (request(deadline=1.5), PREFIX + 3, "payload.deadline: expected an integer, found a float"),
        (request(input=msgpack.ExtType(1, b"{")), PREFIX + 3,
         "payload.input: expected a key or '}', found the end of the input"),
        (request(input=msgpack.ExtType(1, b"")), PREFIX + 3,
         "payload.input: expected a value, found the end of the input"),
        (request(input=msgpack.ExtType(1, b'"\xff"')), PREFIX + 4, "payload.input: invalid UTF-8"),
        (request(input=msgpack.ExtType(1, b"1 2")), PREFIX + 5,
         "payload.input: expected the end of the input, found a number"),
        (request(input=1, metadata=msgpack.ExtType(1, b"{}")), 34,
         "payload.metadata: must be encoded as payload.input is"),
    ],
)  # fmt: skip
def test_a_bad_msgpack_envelope_says_what_and_where(data, offset, reason):
    error = refuse("msgpack", data)

    assert (error.offset, error.reason) == (offset, reason)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (b"\xff", 0),
        (b"a\xc3", 1),  # the first half of a character
        (b"\xed\xa0\x80", 0),  # a surrogate
        (b"\xc0\x80", 0),  # a nul in two bytes
        ("é".encode() + b"\xf5\x80\x80\x80", 2),  # above U+10FFFF
        (b"abcdefgh" * 9 + b"\x80", 72),
    ],
)
@pytest.mark.parametrize("field", ["input", "auth_token", "metadata", "later"])
def test_json_that_is_not_utf8_is_refused_where_it_stops_being_it(field, text, good):
    before = f'{{"type":"call.requested","id":"1","payload":{{"operationId":"x","{field}":"'

    error = refuse("json", before.encode() + text + b'"}}')

    assert (error.offset, error.reason) == (len(before) + good, "invalid UTF-8")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("depth", [0, 1, 64, 512])
def test_a_value_may_nest_as_deep_as_the_limit_wherever_the_payload_stands(format, depth):
    value = 1
    for _ in range(depth):
        value = [value]
    payload = {"operationId": "x", "input": value}
    whole = {"type": "call.requested", "id": "1", "payload": payload}

    for order in (whole, dict(reversed(whole.items()))):
        assert decode(format, dumps(format, order), depth=depth).input == dumps(format, value)
        payload["input"] = {"a": value}
        assert refuse(format, dumps(format, order), depth=depth).reason.endswith(
            f": nested deeper than {depth} levels"
        )
        payload["input"] = value


@pytest.mark.parametrize(
    "data",
    [b'{"a":' + b"[" * 100_000, b'{"a":' + b'{"a":' * 100_000, b'{"payload":' * 100_000],
)
def test_json_nested_a_hundred_thousand_deep_is_refused(data):
    assert "nested deeper than 64 levels" in refuse("json", data).reason


@pytest.mark.parametrize("data", [b"\x81\xa1a" + b"\x91" * 100_000, b"\x81\xa1a" * 100_000])
def test_msgpack_nested_a_hundred_thousand_deep_is_refused(data):
    assert "nested deeper than 64 levels" in refuse("msgpack", data).reason


@pytest.mark.parametrize("format", FORMATS)
def test_a_string_above_the_limit_is_refused_and_one_at_it_is_not(format):
    data = envelope(format, "call.responded", "1", {"output": ["x" * 100]})
    at = data.index(b"x" * 100) - (format == "json")

    error = refuse(format, data, string_bytes=99)

    assert error.reason == "payload.output: a string of 100 bytes; the limit is 99"
    assert error.offset == at
    assert decode(format, data, string_bytes=100)


def test_a_decoder_cannot_be_told_to_nest_deeper_than_the_stack_holds():
    with pytest.raises(ValueError, match=r"^depth is at most 512, not 513$"):
        Decoder("json", framed=False, depth=513)


@pytest.mark.parametrize("format", FORMATS)
def test_after_a_fault_a_decoder_says_the_same_for_ever(format):
    decoder = Decoder(format, framed=False)
    good = envelope(format, "call.completed", "1", {})
    with pytest.raises(MalformedEnvelope) as first:
        decoder.feed(good[:-1])

    for data in (good, b""):
        with pytest.raises(MalformedEnvelope) as again:
            decoder.feed(data)
        assert str(again.value) == str(first.value)
        assert not again.value.events


def offset_of_fault(format, data):
    """Where *data* fails, or 0; any other exception flies."""
    try:
        assert isinstance(decode(format, data), Event)
    except MalformedEnvelope as error:
        return error.offset
    return 0


SAMPLES = [
    dumps(
        format,
        {
            "type": "call.requested",
            "id": "1",
            "payload": {
                "operationId": "/head/é/x",
                "deadline": 1_790_000_000_000,
                "input": {"a": [1, -2.5, None, True, "\u2028 \\"], "b": {"c": ""}},
            },
        },
    )
    for format in FORMATS
]


@pytest.mark.parametrize(("format", "sample"), list(zip(FORMATS, SAMPLES, strict=True)))
def test_every_truncation_is_refused(format, sample):
    decode(format, sample)

    for end in range(len(sample)):
        assert refuse(format, sample[:end]).offset <= end


@pytest.mark.parametrize(("format", "sample"), list(zip(FORMATS, SAMPLES, strict=True)))
def test_every_single_altered_byte_gives_an_event_or_a_typed_error(format, sample):
    for at in range(len(sample)):
        for byte in range(256):
            altered = bytearray(sample)
            altered[at] = byte
            assert 0 <= offset_of_fault(format, bytes(altered)) <= len(sample)


@pytest.mark.parametrize("format", FORMATS)
@given(data=st.binary(max_size=200))
def test_noise_gives_an_event_or_a_typed_error(format, data):
    assert 0 <= offset_of_fault(format, data) <= len(data)


@pytest.mark.parametrize("format", FORMATS)
@given(
    data=st.lists(
        st.sampled_from(
            [*b'{}[],:"\\u0019eE+-. \n', 0x81, 0x82, 0x91, 0xA1, 0xC1, 0xC4, 0xC7, 0xD9, 0xDC, 0xDF]
        ),
        max_size=60,
    )
)
def test_noise_of_meaningful_bytes_inside_an_envelope_gives_an_event_or_a_typed_error(format, data):
    whole = bytearray(envelope(format, "call.responded", "1", {"output": 0}))
    at = len(whole) - (1 if format == "msgpack" else 3)
    whole[at : at + 1] = bytes(data)
    assert 0 <= offset_of_fault(format, bytes(whole)) <= len(whole)
