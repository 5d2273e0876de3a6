"""What the name server answers to those who want no tunnel, and to bytes that are no query."""

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.transport.dns.authority import Asked, Authority, answer
from alknet.transport.dns.messages import query
from alknet.transport.dns.names import Zone
from alknet.transport.dns.packet import (
    Ack,
    Ask,
    CarryDown,
    CarryUp,
    Gone,
    Offer,
    Open,
    Opened,
    Segment,
)

ZONE = Zone("tunnel.example")
AUTHORITY = Authority(ZONE, "192.0.2.1")
ASK = ZONE.name_of(b"\0" + bytes(8))


def examined(message):
    return dns.message.from_wire(AUTHORITY.examine(message.to_wire()))


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "records"),
    [
        ("tunnel.example", "SOA", "NOERROR", ["SOA"]),
        ("tunnel.example", "NS", "NOERROR", ["NS"]),
        ("TUNNEL.example", "NS", "NOERROR", ["NS"]),
        ("tunnel.example", "A", "NOERROR", []),
        ("tunnel.example", "TXT", "NOERROR", []),
        ("tunnel.example", "ANY", "NOERROR", []),
        ("ns.tunnel.example", "A", "NOERROR", ["A"]),
        ("ns.tunnel.example", "AAAA", "NOERROR", []),
        (str(ASK), "A", "NOERROR", []),
        # The end of a name that carries something, as a resolver asks that tells no more.
        ("abc.tunnel.example", "NS", "NOERROR", []),
        ("abc.tunnel.example", "TXT", "NOERROR", []),
        ("no-tunnel.tunnel.example", "TXT", "NXDOMAIN", []),
        ("_dmarc.tunnel.example", "TXT", "NXDOMAIN", []),
        ("8.tunnel.example", "A", "NXDOMAIN", []),
        ("example", "SOA", "REFUSED", []),
        ("other.example", "TXT", "REFUSED", []),
        (".", "NS", "REFUSED", []),
        ("tunnel.example", "AXFR", "REFUSED", []),
    ],
)
def test_what_is_no_tunnel_is_answered_as_a_name_server_does(name, kind, rcode, records):
    asked = dns.message.make_query(name, kind)
    response = examined(asked)

    assert dns.rcode.to_text(response.rcode()) == rcode
    assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in response.answer] == records
    assert asked.is_response(response)
    is_ours = rcode != "REFUSED"
    assert bool(response.flags & dns.flags.AA) is is_ours
    # Whoever is told that there is nothing learns for how long: not at all (RFC 2308).
    soas = [rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.SOA]
    assert bool(soas) is (is_ours and not records)
    assert all(rrset.ttl == 0 for rrset in response.answer + response.authority)


def test_another_class_is_refused():
    response = examined(dns.message.make_query("tunnel.example", "TXT", "CH"))
    assert response.rcode() == dns.rcode.REFUSED


def test_an_unknown_version_of_edns_is_told_so():
    response = examined(dns.message.make_query(ASK, "TXT", use_edns=1))
    assert response.rcode() == dns.rcode.BADVERS


@pytest.mark.parametrize("opcode", ["NOTIFY", "UPDATE", "STATUS"])
def test_what_is_no_query_is_not_implemented(opcode):
    message = dns.message.make_query("tunnel.example", "SOA")
    message.set_opcode(dns.opcode.from_text(opcode))
    assert examined(message).rcode() == dns.rcode.NOTIMP


def test_two_questions_are_malformed():
    message = dns.message.make_query("tunnel.example", "SOA")
    message.question += dns.message.make_query("tunnel.example", "NS").question
    assert examined(message).rcode() == dns.rcode.FORMERR


def test_an_answer_is_never_answered():
    assert (
        AUTHORITY.examine(dns.message.make_response(dns.message.make_query(ASK, "TXT")).to_wire())
        is None
    )


@given(st.binary(max_size=80))
def test_no_bytes_do_worse_than_being_malformed(data):
    found = AUTHORITY.examine(data)
    assert found is None or len(found) <= max(len(data) + 120, 12)


@given(st.data())
def test_a_query_with_bytes_changed_is_answered_or_not_and_nothing_worse(data):
    wire = bytearray(query(ZONE, Ask(bytes(8))))
    for _ in range(data.draw(st.integers(1, 6))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    AUTHORITY.examine(bytes(wire[: data.draw(st.integers(0, len(wire)))]))


def test_an_answer_repeats_the_name_as_it_was_written_and_is_to_be_kept_for_no_time():
    mixed = str(ASK).replace("a", "A")
    asked = AUTHORITY.examine(dns.message.make_query(mixed, "TXT").to_wire())
    assert isinstance(asked, Asked)
    response = dns.message.from_wire(answer(asked, Gone("why not"), is_udp=True))
    assert str(response.question[0].name) == str(response.answer[0].name) == mixed
    assert response.answer[0].ttl == 0
    assert response.flags & dns.flags.AA


FORGOTTEN = "the node knows of no such session: it was restarted, or idle"
HALF_OPEN = CarryDown(Ack(0, 0, 32), 0, Segment(0, bytes(96)), was_held=False)
LONG = CarryDown(Ack(0, 0, 32), 0, Segment(0, bytes(900)), was_held=False)


@pytest.mark.parametrize(
    ("payload", "is_udp", "fits"),
    [
        (0, True, False),
        (512, True, False),
        (1232, True, True),
        (65535, True, True),
        (0, False, True),
    ],
)
def test_an_answer_that_is_too_long_for_a_datagram_says_so(payload, is_udp, fits):
    message = dns.message.make_query(ASK, "TXT", use_edns=bool(payload), payload=payload)
    asked = AUTHORITY.examine(message.to_wire())
    wire = answer(asked, LONG, is_udp=is_udp)
    response = dns.message.from_wire(wire)

    assert bool(response.flags & dns.flags.TC) is not fits
    assert bool(response.answer) is fits
    if is_udp:
        assert len(wire) <= max(payload, 512)


def test_a_full_answer_to_the_longest_name_fits_into_a_datagram():
    from alknet.transport.dns.sessions import _OPEN_BYTES

    name = ZONE.name_of(b"\2" + bytes(ZONE.room - 1))
    message = dns.message.make_query(name, "TXT", use_edns=0, payload=1232)
    asked = AUTHORITY.examine(message.to_wire())
    full = CarryDown(Ack(0, 0, 32), 0, Segment(0, bytes(_OPEN_BYTES)), was_held=False)
    wire = answer(asked, full, is_udp=True)

    assert dns.message.from_wire(wire).answer
    assert 1200 < len(wire) <= 1232


@pytest.mark.parametrize(
    ("asked", "answered", "times"),
    [
        (Ask(bytes(8)), Offer(bytes(8)), 1.4),
        (Open(bytes(8), bytes(8), 0), Opened(), 1.2),
        (CarryUp(bytes(8), 0, 0, Ack(0, 0, 32), None), Gone(FORGOTTEN), 2.2),
        (CarryUp(bytes(8), 0, 0, Ack(0, 0, 32), None), HALF_OPEN, 3.0),
    ],
)
def test_who_is_not_known_is_sent_little_more_than_he_has_sent(asked, answered, times):
    """A full answer is more than ten times as long as the shortest query."""
    wire = query(ZONE, asked)
    assert len(answer(AUTHORITY.examine(wire), answered, is_udp=True)) <= times * len(wire)
