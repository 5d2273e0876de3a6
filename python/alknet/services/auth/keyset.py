"""KeySet: the credentials of stack.toml, read once and swapped whole."""

import hashlib
import re
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import msgspec

from alknet.errors import BadKey, SettingsError
from alknet.identity import Identity
from alknet.keys import parse_ssh_public_line

_RAW_KEY = re.compile(r"^ed25519:(?P<hex>[0-9a-fA-F]{64})$")
_HASH = re.compile(r"^sha256:[0-9a-f]{64}$")
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


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[auth.tokens]]: an API key, kept as `sha256:` and the hash of the whole token."""

    name: Name
    hash: str
    scopes: frozenset[str] = frozenset()
    resources: dict[str, frozenset[str]] = {}
    tenant: str = ""
    expires: datetime | None = None
    enabled: bool = True


class AuthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [auth] of stack.toml."""

    peers: tuple[Peer, ...] = ()
    tokens: tuple[Token, ...] = ()
    token_window: float = 300.0


class KeySet:
    """Credentials by what is presented; a peer that is not enabled is not in it.

    Raises:
        SettingsError: a key cannot be read, or is listed for two peers.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self.keys: dict[bytes, Identity] = {}
        self._tokens: dict[bytes, tuple[Identity, float]] = {}
        # The key id of a signed token may be either hash of the key: both are in use.
        self.key_ids: dict[bytes, bytes] = {}
        names: set[str] = set()
        for peer in settings.peers:
            self._claim(names, peer.name)
            identity = Identity(peer.name, peer.scopes, peer.resources, peer.tenant)
            for key in _read_keys(peer):
                if key in self.keys:
                    raise SettingsError(
                        f"[[auth.peers]] {peer.name!r} lists a key that is also "
                        f"{self.keys[key].id!r}'s: give every peer keys of its own"
                    )
                if peer.enabled:
                    self._add_key(key, identity)
        for token in settings.tokens:
            self._claim(names, token.name)
            if not _HASH.match(token.hash):
                raise SettingsError(
                    f"[[auth.tokens]] {token.name!r}: `hash` should read sha256: and 64 hex digits"
                )
            if token.enabled:
                expires = token.expires.timestamp() if token.expires else float("inf")
                digest = bytes.fromhex(token.hash.removeprefix("sha256:"))
                identity = Identity(token.name, token.scopes, token.resources, token.tenant)
                self._tokens[digest] = (identity, expires)

    def find_token(self, token: str) -> Identity | None:
        """Return whose API key *token* is, or None if it is nobody's or has expired.

        The look-up is by SHA-256, so its timing tells nothing of the token: a hash with the same
        first bytes is as hard to make as the token itself is to guess.
        """
        found = self._tokens.get(hashlib.sha256(token.encode()).digest())
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

    @staticmethod
    def _claim(names: set[str], name: str) -> None:
        if name in names:
            raise SettingsError(f"[auth] names {name!r} twice: a name belongs to one peer or token")
        names.add(name)


def _read_keys(peer: Peer) -> Iterable[bytes]:
    for text in peer.keys:
        raw = _RAW_KEY.match(text)
        if raw:
            yield bytes.fromhex(raw["hex"])
            continue
        try:
            yield parse_ssh_public_line(text)[0]
        except BadKey as error:
            raise SettingsError(f"[[auth.peers]] {peer.name!r}: {error}") from None
