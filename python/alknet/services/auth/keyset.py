"""KeySet: the credentials of stack.toml, read once and swapped whole."""

import hashlib
import re
import time
from datetime import datetime
from typing import Annotated

import msgspec

from alknet.errors import InvalidInput
from alknet.identity import Identity
from alknet.keys import parse_ssh_public_line

_RAW_KEY = re.compile(r"^ed25519:(?P<hex>[0-9a-fA-F]{64})$")
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[auth.peers]]: somebody with Ed25519 keys.

    A key is an OpenSSH line (`ssh-ed25519 AAAA... comment`) or `ed25519:` and 64 hex digits. The
    name is what the peer is called in paths and logs, and stays when its keys change. `tenant` says
    whose seed the vault uses for it, and is left out for the node's own.
    """

    name: Name
    keys: tuple[str, ...]
    scopes: frozenset[str] = frozenset()
    resources: dict[str, frozenset[str]] = {}
    tenant: str = ""
    enabled: bool = True

    def __post_init__(self) -> None:
        self.public_keys()

    def public_keys(self) -> list[bytes]:
        """Return the keys as they are used, 32 raw bytes each.

        Raises:
            BadKey: one cannot be read.
        """
        return [_read_key(text) for text in self.keys]

    def credentials(self) -> tuple[str, list[bytes]]:
        """Return what it lists, and the word for that."""
        return "key", self.public_keys()


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[auth.tokens]]: an API key, kept as `sha256:` and the hash of the whole token."""

    name: Name
    hash: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    scopes: frozenset[str] = frozenset()
    resources: dict[str, frozenset[str]] = {}
    tenant: str = ""
    expires: datetime | None = None
    enabled: bool = True

    def credentials(self) -> tuple[str, list[bytes]]:
        """Return what it lists, and the word for that."""
        return "token", [self.digest]

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the whole token."""
        return bytes.fromhex(self.hash.removeprefix("sha256:"))


class AuthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [auth] of stack.toml.

    A name belongs to one peer or token, and a key or a token to one of them.
    """

    peers: tuple[Peer, ...] = ()
    tokens: tuple[Token, ...] = ()
    token_window: Annotated[float, msgspec.Meta(ge=0)] = 300.0

    def __post_init__(self) -> None:
        names: set[str] = set()
        owners: dict[bytes, str] = {}
        listed: list[Peer | Token] = [*self.peers, *self.tokens]
        for each in listed:
            if each.name in names:
                raise InvalidInput(f"{each.name!r} is named twice: give every one its own name")
            names.add(each.name)
            what, credentials = each.credentials()
            for credential in credentials:
                owner = owners.setdefault(credential, each.name)
                if owner != each.name:
                    raise InvalidInput(
                        f"{each.name!r} lists a {what} that is also {owner!r}'s: "
                        f"give every one its own"
                    )


class KeySet:
    """Credentials by what is presented; what is not enabled is not in it."""

    def __init__(self, settings: AuthSettings) -> None:
        self.keys: dict[bytes, Identity] = {}
        self._tokens: dict[bytes, tuple[Identity, float]] = {}
        # The key id of a signed token may be either hash of the key: both are in use.
        self.key_ids: dict[bytes, bytes] = {}
        for peer in settings.peers:
            identity = Identity(peer.name, peer.scopes, peer.resources, peer.tenant)
            for key in peer.public_keys() if peer.enabled else ():
                self._add_key(key, identity)
        for token in settings.tokens:
            if token.enabled:
                expires = token.expires.timestamp() if token.expires else float("inf")
                identity = Identity(token.name, token.scopes, token.resources, token.tenant)
                self._tokens[token.digest] = (identity, expires)

    def find_token(self, token: str) -> Identity | None:
        """Return whose API key *token* is, or None if it is nobody's or has expired.

        The look-up is by SHA-256, so its timing tells nothing of the token: a hash with the same
        first bytes is as hard to make as the token itself is to guess.
        """
        found = self._tokens.get(hashlib.sha256(token.encode(errors="surrogatepass")).digest())
        if found is None or found[1] <= time.time():
            return None
        return found[0]

    @property
    def token_count(self) -> int:
        """How many API keys are in force."""
        return len(self._tokens)

    def _add_key(self, key: bytes, identity: Identity) -> None:
        self.keys[key] = identity
        blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + key
        self.key_ids[hashlib.sha256(key).digest()] = key
        self.key_ids[hashlib.sha256(blob).digest()] = key


def _read_key(text: str) -> bytes:
    raw = _RAW_KEY.match(text)
    return bytes.fromhex(raw["hex"]) if raw else parse_ssh_public_line(text)[0]
