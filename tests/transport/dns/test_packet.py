"""Packets: what is written is what is read, and no bytes do worse than mean nothing."""

from hypothesis import given
from hypothesis import strategies as st

from alknet.transport.dns.packet import (
    DOWN_BYTES,
    UP_BYTES,
    Ack,
    Ask,
    Bye,
    CarryDown,
    CarryUp,
    Gone,
    Offer,
    Open,
    Opened,
    Segment,
    decode_down,
    decode_up,
    encode_down,
    encode_up,
)

words = st.integers(0, 2**32 - 1)
octets = st.integers(0, 255)
eight = st.binary(min_size=8, max_size=8)
acks = st.builds(Ack, words, words, octets)
segments = st.none() | st.builds(Segment, words, st.binary(min_size=1, max_size=900))
ups = st.one_of(
    st.builds(Ask, eight),
    st.builds(Open, eight, eight, octets),
    st.builds(CarryUp, eight, words, octets, acks, segments),
    st.builds(Bye, eight, words),
)
downs = st.one_of(
    st.builds(Offer, eight),
    st.just(Opened()),
    st.builds(CarryDown, acks, octets, segments, st.booleans()),
    st.builds(Gone, st.text(max_size=40)),
)


@given(ups)
def test_what_is_asked_is_what_is_read(packet):
    assert decode_up(encode_up(packet)) == packet


@given(downs)
def test_what_is_answered_is_what_is_read(packet):
    assert decode_down(encode_down(packet)) == packet


@given(st.binary(max_size=60))
def test_any_bytes_mean_something_or_nothing(data):
    decode_up(data)
    decode_down(data)


def test_the_room_that_a_header_takes_is_what_is_said():
    ack, segment = Ack(1, 2, 3), Segment(4, b"x")
    assert len(encode_up(CarryUp(bytes(8), 5, 6, ack, segment))) == UP_BYTES + 1
    assert len(encode_down(CarryDown(ack, 7, segment, was_held=True))) == DOWN_BYTES + 1
