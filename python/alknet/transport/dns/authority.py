"""Authority: what the name server of a zone answers to everybody else, and to whom nothing.

The zone has an SOA and an NS record and names of nothing but base32; whatever is asked of those
beside the texts of a tunnel has no answer, and other names do not exist (RFC 2308). Other zones,
other classes and transfers are refused. All of it may be kept for 0 seconds.
"""

import ipaddress
from typing import Final

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import msgspec

from alknet.transport.dns.messages import UDP_BYTES, text
from alknet.transport.dns.names import Zone
from alknet.transport.dns.packet import Down, Up, decode_up, encode_down

_HEADER_BYTES: Final = 12
# Of the third byte.
_RESPONSE: Final = 0x80
_OPCODE: Final = 0x78
# Without EDNS (RFC 1035, section 4.2.1).
_LEAST_UDP_BYTES: Final = 512
_MOST_BYTES: Final = 65535
_TRANSFERS: Final = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)


class Asked(msgspec.Struct, frozen=True):
    """A query of the tunnel: what it says, and the message it came in."""

    packet: Up
    message: dns.message.Message


class Authority:
    """Answers for *zone*; the name server's own address is *host*, if that is one."""

    def __init__(self, zone: Zone, host: str) -> None:
        self._zone = zone
        self._server = dns.name.Name((b"ns", *zone.name.labels))
        self._address = _address_of(host)

    def examine(self, wire: bytes) -> Asked | bytes | None:
        """Return what *wire* asks of the tunnel, or the answer to anything else, or None.

        Nothing is answered to what is no query, so that two servers never talk to each other.
        """
        if len(wire) < _HEADER_BYTES or wire[2] & _RESPONSE:
            return None
        if wire[2] & _OPCODE != dns.opcode.to_flags(dns.opcode.QUERY) >> 8:
            return _bare(wire, dns.rcode.NOTIMP)
        try:
            message = dns.message.from_wire(wire, ignore_trailing=True)
        except Exception:  # what dnspython raises of any bytes there may be is nowhere promised
            return _bare(wire, dns.rcode.FORMERR)
        rcode = self._refusal(message)
        if rcode is not None:
            return _reply(message, rcode)
        question = message.question[0]
        if question.rdtype == dns.rdatatype.TXT and question.name != self._zone.name:
            packet = decode_up(self._zone.payload_of(question.name) or b"")
            if packet is not None:
                return Asked(packet, message)
        return self._of_the_zone(message, question)

    def _refusal(self, message: dns.message.Message) -> dns.rcode.Rcode | None:
        if len(message.question) != 1:
            return dns.rcode.FORMERR
        if message.edns > 0:
            return dns.rcode.BADVERS
        question = message.question[0]
        is_ours = question.rdclass == dns.rdataclass.IN and self._zone.covers(question.name)
        if not is_ours or question.rdtype in _TRANSFERS:
            return dns.rcode.REFUSED
        return None

    def _of_the_zone(self, message: dns.message.Message, question: dns.rrset.RRset) -> bytes:
        name, kind = question.name, dns.rdatatype.RdataType(question.rdtype)
        apex = self._zone.name
        record = None
        if name == apex and kind == dns.rdatatype.SOA:
            record = self._soa()
        elif name == apex and kind == dns.rdatatype.NS:
            record = dns.rrset.from_text(apex, 0, "IN", "NS", self._server.to_text())
        elif name == self._server and self._address is not None and kind == self._address[0]:
            record = dns.rrset.from_text(name, 0, "IN", kind, self._address[1])
        exists = self._zone.could_carry(name) or name == self._server
        response = _response(message, dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN)
        response.flags |= dns.flags.AA
        if record is None:
            response.authority.append(self._soa())
        else:
            response.answer.append(record)
        return response.to_wire()

    def _soa(self) -> dns.rrset.RRset:
        apex, server = self._zone.name, self._server.to_text()
        # Nobody transfers it, and nothing of it is to be kept.
        return dns.rrset.from_text(
            apex, 0, "IN", "SOA", f"{server} hostmaster.{apex} 1 3600 600 86400 0"
        )


def answer(asked: Asked, packet: Down, *, is_udp: bool) -> bytes:
    """Return the message that answers *asked* with *packet*; over UDP, only that it is too long."""
    response = _response(asked.message, dns.rcode.NOERROR)
    response.flags |= dns.flags.AA
    name = asked.message.question[0].name
    response.answer.append(dns.rrset.from_rdata(name, 0, text(encode_down(packet))))
    # dnspython would not write more than the asker takes.
    wire = response.to_wire(max_size=_MOST_BYTES)
    most = min(max(asked.message.payload, _LEAST_UDP_BYTES), UDP_BYTES)
    if is_udp and len(wire) > most:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()
    return wire


def _response(message: dns.message.Message, rcode: dns.rcode.Rcode) -> dns.message.Message:
    response = dns.message.make_response(message, our_payload=UDP_BYTES)
    response.set_rcode(rcode)
    return response


def _reply(message: dns.message.Message, rcode: dns.rcode.Rcode) -> bytes:
    return _response(message, rcode).to_wire()


def _bare(wire: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """Return an answer to a message that cannot be read: its number and *rcode*, no question."""
    message = dns.message.QueryMessage(id=int.from_bytes(wire[:2], "big"))
    message.flags = dns.flags.QR
    message.set_rcode(rcode)
    return message.to_wire()


def _address_of(host: str) -> tuple[dns.rdatatype.RdataType, str] | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.is_unspecified:
        return None
    kind = dns.rdatatype.A if address.version == 4 else dns.rdatatype.AAAA
    return kind, str(address)
