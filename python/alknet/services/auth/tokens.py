"""Signed tokens: an Ed25519 key's word that its holder is here, now.

A token is base64url, unpadded, of 104 bytes: the key id (32: SHA-256 of the raw public key, or of
its OpenSSH blob), the time (8: Unix seconds, big-endian), and the signature (64) over the first 40.
It is good for a window around its time, and once: what has been seen is remembered that long.
"""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Callable

from alknet.errors import BadSignature, InvalidInput
from alknet.keys import Ed25519Key, verify_ed25519

TOKEN_BYTES = 104
_SIGNED_BYTES = 40
_REMEMBERED = 65_536


def sign_token(key: Ed25519Key, key_id: bytes, now: float) -> str:
    """Return a token by *key* for the time *now*, in Unix seconds."""
    message = key_id + int(now).to_bytes(8, "big")
    return base64.urlsafe_b64encode(message + key.sign(message)).rstrip(b"=").decode()


class SignedTokens:
    """Checks signed tokens, each of which it lets through once.

    *window* is in seconds, to either side of the token's time. When more tokens than can be
    remembered arrive within a window, the surplus is refused: forgetting one would let it in again.
    """

    def __init__(self, window: float, remembered: int = _REMEMBERED) -> None:
        self.window = window
        self._remembered = remembered
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def check(self, token: str, signer: Callable[[bytes], bytes | None], now: float) -> bytes | str:
        """Return the public key that *token* is by, or the reason why it is not good.

        *signer* returns the public key of a key id, None if it is nobody's.
        """
        raw = _decode(token)
        if raw is None:
            return "the token is none: it is neither an API key nor 104 bytes in base64url"
        public_key = signer(raw[:32])
        if public_key is None:
            return "the token is by a key that is not known here"
        try:
            verify_ed25519(public_key, raw[:_SIGNED_BYTES], raw[_SIGNED_BYTES:])
        except (BadSignature, InvalidInput):
            return "the token's signature is not good"
        signed_at = int.from_bytes(raw[32:_SIGNED_BYTES], "big")
        if abs(now - signed_at) > self.window:
            return (
                f"the token was made {now - signed_at:.0f} s ago and is good for "
                f"{self.window:.0f} s: make a new one, and compare the clocks"
            )
        return self._once(raw, public_key, signed_at, now)

    def _once(self, raw: bytes, public_key: bytes, signed_at: int, now: float) -> bytes | str:
        seen = self._seen
        while seen and next(iter(seen.values())) < now:
            seen.popitem(last=False)
        mark = raw[:_SIGNED_BYTES]
        if mark in seen:
            return "the token has been used already: make a new one"
        if len(seen) >= self._remembered:
            return "too many tokens at once: try again in a while"
        seen[mark] = max(now, signed_at) + 2 * self.window
        return public_key


def _decode(token: str) -> bytes | None:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == TOKEN_BYTES else None
