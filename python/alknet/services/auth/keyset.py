"""KeySet: the credentials of stack.toml, read once and swapped whole."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from alknet.errors import InvalidInput
from alknet.identity import Identity
from alknet.keys import ssh_fingerprint
from alknet.protocol.auth import Credential, Denied, Granted
from alknet.services.auth.authorized_keys import AuthorizedKey, blob_fingerprint, read_file
from alknet.services.auth.certificates import Certificate

Fingerprint = Annotated[str, msgspec.Meta(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
# Who is known by a key, and the line that says so with what it is good for.
Lines = Sequence[tuple[Identity, AuthorizedKey]]
_NOWHERE: Final[frozenset[str]] = frozenset()


class Peer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[auth.peers]]: somebody with Ed25519 keys.

    `name` is what the peer is called in paths and logs, and stays when its keys change. `keys` are
    lines as in OpenSSH's authorized_keys, options in front (`ssh-ed25519 AAAA... comment`,
    `cert-authority,principals="ops" ssh-ed25519 AAAA...`), or each `ed25519:` and 64 hex digits, or
    a fingerprint (`SHA256:...`), which is good for links and not for signed tokens.
    `authorized_keys` is a file of such lines, beside this one if its path is relative. `scopes` are
    what it may do: words such as `secrets:derive`, of which one may end in `*`. `resources` are
    what it may do with single things: actions by `type:id`. `tenant` says whose seed the vault uses
    for it, and is left out for the node's own. With `enabled` false it is as if it were not there.
    """

    name: Name
    keys: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    resources: dict[str, frozenset[str]] = {}
    tenant: str = ""
    enabled: bool = True
    authorized_keys: str | None = None

    def __post_init__(self) -> None:
        for _ in self.lines():
            pass

    def lines(self, folder: Path | None = None) -> Iterator[AuthorizedKey]:
        """Yield its keys; with *folder* also those in its file, which is found from there.

        Raises:
            BadKey: one cannot be read.
        """
        for text in self.keys:
            yield AuthorizedKey.parse(text)
        if folder is not None and self.authorized_keys is not None:
            yield from read_file(folder / self.authorized_keys)

    @property
    def identity(self) -> Identity:
        """Who it is to the node."""
        return Identity(self.name, self.scopes, self.resources, self.tenant)


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[auth.tokens]]: an API key, of which only the hash is kept.

    `name` is what its holder is called in paths and logs. `hash` is `sha256:` and the SHA-256 of
    the whole token, in hex. `scopes`, `resources`, `tenant` and `enabled` are as a peer's:
    `resources` are actions by `type:id`; `tenant` says whose seed the vault uses; with `enabled`
    false it is as if it were not there. After `expires` it is no longer good.
    """

    name: Name
    hash: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    scopes: frozenset[str] = frozenset()
    resources: dict[str, frozenset[str]] = {}
    tenant: str = ""
    expires: datetime | None = None
    enabled: bool = True

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the whole token."""
        return bytes.fromhex(self.hash.removeprefix("sha256:"))


class AuthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [auth] of stack.toml.

    `peers` are those who prove a key, and `tokens` those who show an API key. A name belongs to one
    of them, and so does a key or a token; only an authority's key may be listed by several.
    `token_window` is the seconds to either side of its time for which a signed token is good.
    `revoked` are the fingerprints of keys that are good for nothing any more: a peer's, also in a
    certificate, or an authority's.

    With `backend` "sqlite" the principals of [storage] are let in too, by the keys, authorities and
    API keys that the database has for them. What stands here goes first, and what is `revoked` here
    is good for nothing there.

    With `remote`, the URL of an auth node, that one is asked about whoever is not listed here.
    `expect` is the fingerprint of the key that it must hold, needed unless its certificate says who
    it is, by the word of an authority in the PEM file `ca` or, without that file, of one that this
    machine trusts. `key` is a file with the OpenSSH private key that we prove ourselves with there,
    or without it the node's own identity is. What it says is believed for `remember` seconds. Links
    that are open by its word stay for `grace` seconds while it cannot be asked, and end then; 0
    ends them at once.
    """

    peers: tuple[Peer, ...] = ()
    tokens: tuple[Token, ...] = ()
    token_window: Annotated[float, msgspec.Meta(ge=0)] = 300.0
    revoked: tuple[Fingerprint, ...] = ()
    backend: Literal["memory", "sqlite"] = "memory"
    remote: Annotated[str, msgspec.Meta(pattern=r"^(ws|wss|tcp|tls|quic|ssh)://[^/]+$")] | None = (
        None
    )
    expect: Fingerprint | None = None
    key: Path | None = None
    ca: Path | None = None
    remember: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    grace: Annotated[float, msgspec.Meta(ge=0)] = 300.0

    def __post_init__(self) -> None:
        self._check_remote()
        names: set[str] = set()
        for name in [each.name for each in self.peers] + [each.name for each in self.tokens]:
            if name in names:
                raise InvalidInput(f"{name!r} is named twice: give every one its own name")
            names.add(name)
        owners: dict[bytes, str] = {}
        for peer in self.peers:
            for key in peer.lines():
                if not key.is_authority:
                    _own(owners, key.fingerprint.encode(), peer.name, "key")
        for token in self.tokens:
            _own(owners, token.digest, token.name, "token")

    @property
    def read_with(self) -> tuple[Path, ...]:
        """The files of keys, which are read whenever the table is."""
        return tuple(Path(each.authorized_keys) for each in self.peers if each.authorized_keys)

    def _check_remote(self) -> None:
        if self.remote is None:
            return
        if self.backend != "memory":
            raise InvalidInput(
                f"`remote` asks another node, and `backend` is {self.backend!r}: leave out one"
            )
        if self.expect is None and not self.remote.startswith(("wss://", "tls://", "quic://")):
            raise InvalidInput(
                f"whoever answers at {self.remote} would say who is let in: name the fingerprint "
                f"that it must have (`expect`), or use tls://, wss:// or quic://"
            )


def _own(owners: dict[bytes, str], credential: bytes, name: str, what: str) -> None:
    owner = owners.setdefault(credential, name)
    if owner != name:
        raise InvalidInput(
            f"{name!r} lists a {what} that is also {owner!r}'s: give every one its own"
        )


class KeySet:
    """Credentials by what is presented; what is not enabled is not in it.

    A relative path of an authorized_keys file begins at *folder*. Every *now* is in Unix seconds.

    Raises:
        BadKey: such a file cannot be read, or a line of it.
        InvalidInput: two peers have the same key.
    """

    def __init__(self, settings: AuthSettings, folder: Path = Path()) -> None:
        self._keys: dict[str, list[tuple[Identity, AuthorizedKey]]] = {}
        self._authorities: dict[str, list[tuple[Identity, AuthorizedKey]]] = {}
        self._tokens: dict[str, Granted] = {}
        self._revoked = frozenset(settings.revoked)
        # The key id of a signed token may be either hash of the key: both are in use.
        self.key_ids: dict[bytes, bytes] = {}
        owners: dict[bytes, str] = {}
        for peer in settings.peers:
            for key in peer.lines(folder) if peer.enabled else ():
                if key.is_authority:
                    self._authorities.setdefault(key.fingerprint, []).append((peer.identity, key))
                else:
                    _own(owners, key.fingerprint.encode(), peer.name, "key")
                    self._add_key(peer.identity, key)
        for token in settings.tokens:
            if token.enabled:
                expires = token.expires.timestamp() if token.expires else float("inf")
                identity = Identity(token.name, token.scopes, token.resources, token.tenant)
                id = token.digest.hex()
                self._tokens[id] = _granted(identity, Credential("token", id), expires)

    def __len__(self) -> int:
        return len(self._keys) + len(self._authorities)

    @property
    def token_count(self) -> int:
        """How many API keys are in force."""
        return len(self._tokens)

    def key(self, public_key: bytes, source: str | None, now: float) -> Granted | Denied:
        """Say whose *public_key* is, as it was seen from the address *source*."""
        fingerprint = ssh_fingerprint(public_key)
        why = f"the key {fingerprint} is not listed here"
        if self.is_revoked(fingerprint):
            return Denied(f"the key {fingerprint} was revoked")
        for identity, line in self.owners(fingerprint, now):
            why = _refusal(line, f"the key {fingerprint}", source, now) or ""
            if not why:
                credential = Credential("key", fingerprint)
                held = _held(identity, line.command, line.forwards)
                return _granted(held, credential, line.expires)
        return Denied(why)

    def certificate(
        self, certificate: Certificate, source: str | None, now: float
    ) -> Granted | Denied:
        """Say whose *certificate* it is, as it was seen from the address *source*."""
        fingerprint = ssh_fingerprint(certificate.public_key)
        authority = blob_fingerprint(certificate.authority)
        for each in (fingerprint, authority):
            if self.is_revoked(each):
                return Denied(f"the key {each} was revoked")
        why = f"the authority {authority}, which signed the certificate, is not listed here"
        for identity, line in self.authorities(authority, now):
            refusal = certificate.refusal(line, identity.id, source, now) or _refusal(
                line, f"the authority {authority}", source, now
            )
            if refusal is None:
                credential = Credential(
                    "certificate", fingerprint, authority, certificate.principals
                )
                command = certificate.command or line.command
                expires = min(certificate.valid_before, line.expires)
                forwards = line.forwards if certificate.may_forward else _NOWHERE
                return _granted(_held(identity, command, forwards), credential, expires)
            why = refusal
        return Denied(why)

    def token(self, token: str, now: float) -> Granted | None:
        """Say whose API key *token* is; None if it is nobody's or has expired.

        The look-up is by SHA-256, so its timing tells nothing of the token: a hash with the same
        first bytes is as hard to make as the token itself is to guess.
        """
        return self.token_of(hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest(), now)

    def token_of(self, id: str, now: float) -> Granted | None:
        """Say whose API key it is that a Credential calls *id*; None as with `token`."""
        granted = self._tokens.get(id)
        if granted is None or (granted.expires is not None and granted.expires <= now):
            return None
        return granted

    def is_revoked(self, fingerprint: str) -> bool:
        """Whether the key with that fingerprint is good for nothing, whoever lists it."""
        return fingerprint in self._revoked

    def owners(self, fingerprint: str, now: float) -> Lines:
        """Return whose key that is, and the lines that say so."""
        return self._keys.get(fingerprint, ())

    def authorities(self, fingerprint: str, now: float) -> Lines:
        """Return for whom the authority with that key may speak, and the lines that say so."""
        return self._authorities.get(fingerprint, ())

    def signer(self, key_id: bytes) -> bytes | None:
        """Return the public key that a signed token means by *key_id*, None if it is nobody's."""
        return self.key_ids.get(key_id)

    def still_grants(self, granted: Granted, now: float) -> bool:
        """Whether what was granted once would be granted now, to the same identity."""
        credential = granted.credential
        if credential is None:
            return False
        if credential.kind == "token":
            found = self.token_of(credential.id, now)
            return found is not None and found.identity == granted.identity
        if self.is_revoked(credential.id):
            return False
        if credential.authority is None:
            lines = self.owners(credential.id, now)
        else:
            if self.is_revoked(credential.authority):
                return False
            lines = self.authorities(credential.authority, now)
        return any(
            now < line.expires
            and (not line.is_authority or credential.principals & (line.principals or {owner.id}))
            and _as_then(owner, line, granted) == granted.identity
            for owner, line in lines
        )

    def _add_key(self, identity: Identity, key: AuthorizedKey) -> None:
        self._keys.setdefault(key.fingerprint, []).append((identity, key))
        # A token is checked by the key itself: who is known by a fingerprint can sign none.
        if key.public_key is not None:
            self.key_ids[hashlib.sha256(key.public_key).digest()] = key.public_key
            self.key_ids[hashlib.sha256(key.blob).digest()] = key.public_key


def _refusal(line: AuthorizedKey, what: str, source: str | None, now: float) -> str | None:
    if now >= line.expires:
        return f"{what} has expired here"
    if line.sources is not None and not line.sources.include(source):
        return f"{what} is not good from this address"
    return None


def _only(granted: Granted) -> str | None:
    """Return the operation that a certificate held its owner to."""
    return next(iter(granted.identity.only or ()), None)


def _as_then(owner: Identity, line: AuthorizedKey, granted: Granted) -> Identity:
    """Return what *line* makes of *owner* now, held by the certificate that was shown as then."""
    forwards = line.forwards
    if line.is_authority and granted.identity.forwards == _NOWHERE:
        forwards = _NOWHERE
    return _held(owner, line.command or _only(granted), forwards)


def _held(identity: Identity, command: str | None, forwards: frozenset[str] | None) -> Identity:
    """Return *identity*, held to the operation *command*, and to *forwards*, if there are any."""
    if command is None and forwards is None:
        return identity
    only = identity.only if command is None else frozenset({command})
    return msgspec.structs.replace(identity, only=only, forwards=forwards)


def _granted(identity: Identity, credential: Credential, expires: float) -> Granted:
    return Granted(identity, credential, None if expires == float("inf") else expires)
