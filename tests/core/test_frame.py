"""Framing: whole frames come out, whatever way the stream is cut; bad lengths end it at once."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet._core.envelope import CallItem, Decoder, LinkPing
from alknet.errors import FrameTooLarge, MalformedEnvelope

from .wire import FORMATS, dumps, envelope, frame


def ping(format, id):
    return frame(envelope(format, "link.ping", str(id), {}))


def item(format, id, value):
    return frame(envelope(format, "call.item", str(id), {"item": value}))


@pytest.mark.parametrize("format", FORMATS)
def test_all_frames_of_a_buffer_come_out_in_order(format):
    stream = b"".join(ping(format, id) for id in range(1000))

    events = Decoder(format, framed=True).feed(stream)

    assert events == [LinkPing(str(id)) for id in range(1000)]


@pytest.mark.parametrize("format", FORMATS)
def test_every_way_to_cut_a_stream_in_two_gives_the_same(format):
    stream = ping(format, 1) + item(format, 2, "x" * 50) + ping(format, 3)
    whole = Decoder(format, framed=True).feed(stream)

    for cut in range(len(stream) + 1):
        decoder = Decoder(format, framed=True)
        assert [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])] == whole
        assert decoder.buffered == 0


@pytest.mark.parametrize("format", FORMATS)
@given(
    sizes=st.lists(st.integers(0, 300), max_size=8),
    cuts=st.lists(st.integers(0, 2500), max_size=12),
)
def test_any_cuts_of_any_frames_give_the_same(format, sizes, cuts):
    stream = b"".join(item(format, id, "x" * size) for id, size in enumerate(sizes))
    decoder = Decoder(format, framed=True)

    events = []
    marks = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in pairwise(marks):
        events += decoder.feed(stream[start:end])

    assert events == [
        CallItem(str(id), dumps(format, "x" * size), format) for id, size in enumerate(sizes)
    ]
    assert decoder.buffered == 0


@pytest.mark.parametrize("format", FORMATS)
def test_one_byte_at_a_time_is_enough_and_buffered_says_how_many_wait(format):
    stream = ping(format, 1) + ping(format, 2)
    decoder = Decoder(format, framed=True)

    for at in range(len(stream)):
        ends_a_frame = (at + 1) % (len(stream) // 2) == 0
        assert len(decoder.feed(stream[at : at + 1])) == ends_a_frame
        assert decoder.buffered == (at + 1) % (len(stream) // 2)


@pytest.mark.parametrize("format", FORMATS)
def test_feeding_nothing_gives_nothing(format):
    assert Decoder(format, framed=True).feed(b"") == []


@pytest.mark.parametrize("start", [0, 2, 4])
@pytest.mark.parametrize("format", FORMATS)
def test_a_frame_above_the_limit_is_refused_as_soon_as_its_length_is_known(format, start):
    announced = (1001).to_bytes(4)
    decoder = Decoder(format, framed=True, frame_bytes=1000)
    assert decoder.feed(announced[:start][:3]) == []

    with pytest.raises(FrameTooLarge) as caught:
        decoder.feed(announced[start:] if start < 4 else announced[3:])

    assert (caught.value.size, caught.value.limit) == (1001, 1000)
    assert caught.value.events == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_frame_at_the_limit_is_read(format):
    data = item(format, 1, "x" * 100)
    size = len(data) - 4

    [event] = Decoder(format, framed=True, frame_bytes=size).feed(data)

    assert isinstance(event, CallItem)
    with pytest.raises(FrameTooLarge):
        Decoder(format, framed=True, frame_bytes=size - 1).feed(data)


@pytest.mark.parametrize("format", FORMATS)
def test_a_message_without_a_frame_has_the_same_limit(format):
    data = envelope(format, "link.ping", "1", {})

    assert Decoder(format, framed=False, frame_bytes=len(data)).feed(data) == [LinkPing("1")]
    with pytest.raises(FrameTooLarge, match=f"frame of {len(data)} bytes"):
        Decoder(format, framed=False, frame_bytes=len(data) - 1).feed(data)


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (b"\0\0\0\0", MalformedEnvelope, "malformed envelope at byte 0: a frame of zero bytes"),
        (
            b"\xff\xff\xff\xff",
            FrameTooLarge,
            "the peer announced a frame of 4294967295 bytes and the limit is 16777216 "
            "(raise `frame_bytes` under [limits] in stack.toml on both sides)",
        ),
        (frame(b"?"), MalformedEnvelope, "malformed envelope at byte 0: envelope: expected a map"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_the_events_before_a_fault_are_in_the_error_and_the_decoder_is_dead(
    format, fault, error, message
):
    before = ping(format, 1) + ping(format, 2)
    decoder = Decoder(format, framed=True)

    with pytest.raises(error, match=f"^{re.escape(message)}") as caught:
        decoder.feed(before + fault + ping(format, 3))

    assert caught.value.events == [LinkPing("1"), LinkPing("2")]
    for data in (ping(format, 4), b""):
        with pytest.raises(error, match=f"^{re.escape(message)}") as again:
            decoder.feed(data)
        assert not again.value.events


@pytest.mark.parametrize("format", FORMATS)
def test_a_fault_in_a_frame_that_was_cut_keeps_the_events_too(format):
    stream = ping(format, 1) + frame(b"?") + ping(format, 2)
    first = len(ping(format, 1))
    decoder = Decoder(format, framed=True)
    assert decoder.feed(stream[: first + 2]) == [LinkPing("1")]

    with pytest.raises(MalformedEnvelope) as caught:
        decoder.feed(stream[first + 2 :])

    assert caught.value.events == []


def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_an_announced_length_is_not_believed_until_the_bytes_are_there():
    huge = 2**31 - 1
    before = resident_kib()

    decoders = [Decoder("json", framed=True, frame_bytes=huge) for _ in range(1000)]
    for decoder in decoders:
        assert decoder.feed(huge.to_bytes(4) + b"{") == []

    assert resident_kib() - before < 10_000
    assert {decoder.buffered for decoder in decoders} == {5}


def test_the_memory_of_a_large_frame_is_given_back_when_it_is_done():
    stream = frame(envelope("json", "call.item", "1", {"item": "x" * 8_000_000}))
    decoders = [Decoder("json", framed=True) for _ in range(20)]
    before = resident_kib()

    for decoder in decoders:
        assert decoder.feed(stream[:1000]) == []
        assert len(decoder.feed(stream[1000:])) == 1

    assert resident_kib() - before < 40_000


def test_a_large_frame_may_come_in_thousands_of_parts():
    stream = frame(envelope("json", "call.item", "1", {"item": "x" * 4_000_000}))
    decoder = Decoder("json", framed=True)

    events = []
    for at in range(0, len(stream), 1000):
        events += decoder.feed(stream[at : at + 1000])

    assert [len(event.item) for event in events] == [4_000_002]


@pytest.mark.parametrize("format", FORMATS)
def test_a_large_envelope_is_announced_before_it_is_looked_at(format):
    mebibyte = 1 << 20
    stream = item(format, 1, "x" * mebibyte) + ping(format, 2)
    decoder = Decoder(format, framed=True)

    assert not decoder.completes_large(len(stream))
    decoder.feed(stream[: mebibyte + 10])
    missing = stream.index(ping(format, 2)) - mebibyte - 10
    assert not decoder.completes_large(missing - 1)
    assert decoder.completes_large(missing)
    assert len(decoder.feed(stream[mebibyte + 10 :])) == 2
    assert not decoder.completes_large(100)

    whole = Decoder(format, framed=False)
    assert whole.completes_large(mebibyte + 1)
    assert not whole.completes_large(mebibyte)
