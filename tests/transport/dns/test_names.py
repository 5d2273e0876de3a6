"""Names: bytes that survive what resolvers do to names, within the limits of RFC 1035."""

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.errors import SettingsError
from alknet.transport.dns.names import Zone

ZONES = ["t.example", "tunnel.example.org", ".".join(["label" * 6] * 3)]
zones = st.sampled_from(ZONES).map(Zone)


@given(zones, st.data())
def test_what_goes_into_a_name_comes_out_of_it_in_any_case(zone, data):
    payload = data.draw(st.binary(min_size=1, max_size=zone.room))
    name = zone.name_of(payload)
    mixed = data.draw(
        st.lists(st.booleans(), min_size=len(str(name)), max_size=len(str(name))).map(
            lambda upper: "".join(
                c.upper() if u else c for c, u in zip(str(name), upper, strict=True)
            )
        )
    )

    assert zone.payload_of(name) == payload
    assert zone.payload_of(dns.name.from_text(mixed)) == payload
    assert zone.could_carry(name)


@pytest.mark.parametrize("text", ZONES)
def test_a_full_name_fits_and_with_one_byte_more_it_would_not(text):
    zone = Zone(text)
    wire = zone.name_of(bytes(zone.room)).to_wire()
    assert len(wire) <= 255
    assert all(len(label) <= 63 for label in zone.name_of(bytes(zone.room)).labels)
    with pytest.raises(dns.name.NameTooLong):
        zone.name_of(bytes(zone.room + 1))


@given(zones, st.lists(st.binary(min_size=1, max_size=63), max_size=3))
def test_a_name_that_carries_nothing_is_told_from_one_that_does(zone, labels):
    name = dns.name.Name((*labels, *zone.name.labels))
    payload = zone.payload_of(name)
    assert payload is None or zone.could_carry(name)


@pytest.mark.parametrize("text", ["tunnel.example", "a.tunnel.example", "A.TUNNEL.example"])
def test_a_zone_covers_what_stands_below_it(text):
    assert Zone("Tunnel.Example").covers(dns.name.from_text(text))


@pytest.mark.parametrize("text", ["example", "other.example", "xtunnel.example", "."])
def test_a_zone_covers_nothing_else(text):
    assert not Zone("tunnel.example").covers(dns.name.from_text(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs a domain of its own"),
        ("a..b", "'a..b' is no domain"),
        ("x" * 64 + ".example", "is no domain"),
        (".".join(["label" * 10] * 3), "leaves room for"),
    ],
)
def test_a_zone_that_cannot_be_says_why(text, words):
    with pytest.raises(SettingsError) as caught:
        Zone(text)
    assert words in str(caught.value)
