"""Names: bytes as labels of base32 in front of a zone, which is all that a query can carry up.

Base32 (RFC 4648, section 6) in lower case and without padding, because resolvers may change the
case of a name at will (the "0x20" trick) and compare names without it. A name has at most 255
octets with the lengths in front of its labels, and a label 63 (RFC 1035, section 2.3.4).
"""

import base64
import binascii
from typing import Final

import dns.exception
import dns.name

from alknet.errors import SettingsError

_NAME_OCTETS: Final = 255
_LABEL_OCTETS: Final = 63
_ALPHABET: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
# With less in a name there would be hardly anything in it beside its header.
_LEAST_BYTES: Final = 64


class Zone:
    """A domain whose names below it carry bytes; `room` is how many one name carries at most."""

    def __init__(self, text: str) -> None:
        """Read the domain *text*.

        Raises:
            SettingsError: it is no domain, or so long that nothing fits in front of it.
        """
        try:
            self.name = dns.name.from_text(text.lower())
        except (dns.exception.DNSException, UnicodeError) as error:
            raise SettingsError(f"{text!r} is no domain: {error}") from None
        if len(self.name) < 2:
            raise SettingsError("a tunnel needs a domain of its own, as tunnel.example.org")
        # Each label has its length in front, and the root is the last.
        octets = _NAME_OCTETS - sum(len(label) + 1 for label in self.name.labels)
        digits = octets - -(-octets // (_LABEL_OCTETS + 1))
        self.room = digits * 5 // 8
        if self.room < _LEAST_BYTES:
            raise SettingsError(
                f"the domain {self} leaves room for {max(self.room, 0)} bytes in a name and "
                f"{_LEAST_BYTES} are needed: choose a shorter one"
            )

    def __str__(self) -> str:
        return self.name.to_text(omit_final_dot=True)

    def name_of(self, payload: bytes) -> dns.name.Name:
        """Return the name that carries *payload*, of at most `room` bytes."""
        digits = base64.b32encode(payload).rstrip(b"=").lower()
        starts = range(0, len(digits), _LABEL_OCTETS)
        labels = [digits[start : start + _LABEL_OCTETS] for start in starts]
        return dns.name.Name((*labels, *self.name.labels))

    def payload_of(self, name: dns.name.Name) -> bytes | None:
        """Return the bytes that *name* carries; None if no name that carries some reads so."""
        digits = b"".join(self.labels_of(name))
        try:
            return base64.b32decode(digits + b"=" * (-len(digits) % 8), casefold=True)
        except binascii.Error:
            return None

    def covers(self, name: dns.name.Name) -> bool:
        """Whether *name* is the zone or stands below it."""
        return name.is_subdomain(self.name)

    def labels_of(self, name: dns.name.Name) -> tuple[bytes, ...]:
        """Return the labels of *name* in front of the zone, which covers it."""
        return name.labels[: len(name) - len(self.name)]

    def could_carry(self, name: dns.name.Name) -> bool:
        """Whether *name* carries bytes, or is the end of a name that does.

        Resolvers that tell each server no more than it must know (RFC 9156) ask for those first,
        and would take it that nothing stands below a name that is denied.
        """
        return all(_ALPHABET.issuperset(label) for label in self.labels_of(name))
