"""Session tokens: random words that let a caller in again for a while, and can be taken back."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from alknet.errors import RateLimited
from alknet.identity import Identity
from alknet.protocol.auth import Credential, Granted

PREFIX: Final = "als_"
_TOKEN_BYTES: Final = 32
# A caller that asks for more than it can use must not push out those of others.
_EACH: Final = 64
_REMEMBERED: Final = 65_536


class _Session(msgspec.Struct, frozen=True):
    granted: Granted
    opener: Granted


class Sessions:
    """The tokens given out; of each only the hash is kept, and none outlives the process."""

    def __init__(self) -> None:
        self._by_hash: dict[str, _Session] = {}

    def open(self, opener: Granted, identity: Identity, expires: float, now: float) -> str:
        """Return a new token for *identity*, good until *expires* (Unix seconds).

        *opener* is what its asker came with: when that is good no longer, neither is the token.

        Raises:
            RateLimited: the caller has as many as it may, or all callers together have.
        """
        self._forget_expired(now)
        own = [each for each in self._by_hash.values() if each.granted.identity.id == identity.id]
        if len(own) >= _EACH or len(self._by_hash) >= _REMEMBERED:
            soonest = min((each.granted.expires or now for each in own), default=now + 1.0)
            raise RateLimited(
                f"{identity.id!r} has {len(own)} session tokens and {_EACH} are the most; "
                f"auth/close-sessions takes them back",
                details={"retry_after": round(max(soonest - now, 1.0), 3)},
            )
        token = PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        name = _hash(token)
        granted = Granted(identity, Credential("session", name), expires)
        self._by_hash[name] = _Session(granted, opener)
        return token

    def find(self, token: str, now: float) -> Granted | None:
        """Return what *token* grants, or None if it is none or is over.

        The look-up is by SHA-256, so its timing tells nothing of the token.
        """
        session = self._by_hash.get(_hash(token))
        if session is None or (session.granted.expires or 0.0) <= now:
            return None
        return session.granted

    def openers(self) -> list[Granted]:
        """Return what those came with who have been given tokens."""
        return [each.opener for each in self._by_hash.values()]

    def keep(self, is_good: Callable[[Granted], bool]) -> None:
        """Take back the tokens of those who came with what *is_good* no longer."""
        for name, each in list(self._by_hash.items()):
            if not is_good(each.opener):
                del self._by_hash[name]

    def __contains__(self, credential: Credential) -> bool:
        """Whether the token that *credential* was is known still."""
        return credential.id in self._by_hash

    def close(self, identity: str) -> int:
        """Take back every token of *identity*; return how many there were."""
        gone = [
            name for name, each in self._by_hash.items() if each.granted.identity.id == identity
        ]
        for name in gone:
            del self._by_hash[name]
        return len(gone)

    def _forget_expired(self, now: float) -> None:
        for name, each in list(self._by_hash.items()):
            if (each.granted.expires or 0.0) <= now:
                del self._by_hash[name]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
