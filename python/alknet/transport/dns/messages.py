"""Messages: the client's queries and what is read from the answers, built by dnspython."""

import secrets
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

from alknet.transport.dns.names import Zone
from alknet.transport.dns.packet import Down, Up, decode_down, decode_up, encode_up

# What passes every path without being fragmented (DNS flag day 2020; RFC 9715, appendix A).
UDP_BYTES: Final = 1232
_STRING_BYTES: Final = 255


class Truncated(Exception):
    """The answer did not fit: ask the same by TCP."""


class NoAnswer(Exception):
    """Somebody on the way says that there is none; the text is why, in words."""


def query(zone: Zone, packet: Up) -> bytes:
    """Return the message that asks for the name which carries *packet*."""
    message = dns.message.QueryMessage(id=secrets.randbelow(1 << 16))
    message.flags = dns.flags.RD
    name = zone.name_of(encode_up(packet))
    message.question.append(dns.rrset.RRset(name, dns.rdataclass.IN, dns.rdatatype.TXT))
    message.use_edns(0, payload=UDP_BYTES)
    return message.to_wire()


def read_answer(zone: Zone, wire: bytes) -> tuple[Up, Down | Exception] | None:
    """Return what was asked and what is answered, Truncated or NoAnswer; None if it is neither.

    The question names the session, by 64 bits that nobody knows who is not on the way; that is more
    than the number of the message and of the port, which are not looked at.
    """
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
        if not message.flags & dns.flags.QR or len(message.question) != 1:
            return None
        asked = message.question[0].name
        if not zone.covers(asked):
            return None
        up = decode_up(zone.payload_of(asked) or b"")
        if up is None:
            return None
        return up, _answered(message)
    except (dns.exception.DNSException, ValueError):
        return None


def _answered(message: dns.message.Message) -> Down | Exception:
    if message.flags & dns.flags.TC:
        return Truncated()
    if message.rcode() != dns.rcode.NOERROR:
        return NoAnswer(dns.rcode.to_text(message.rcode()))
    asked = message.question[0].name
    for rrset in message.answer:
        if rrset.name == asked and rrset.rdtype == dns.rdatatype.TXT:
            (record, *_) = rrset
            assert isinstance(record, TXT)
            down = decode_down(b"".join(record.strings))
            if down is not None:
                return down
    return NoAnswer("no TXT record of a tunnel")


def text(payload: bytes) -> TXT:
    """Return the TXT record that carries *payload*: strings of at most 255 bytes (RFC 1035)."""
    starts = range(0, len(payload), _STRING_BYTES)
    strings = [payload[start : start + _STRING_BYTES] for start in starts]
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
