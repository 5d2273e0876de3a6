"""The handshake: who is at the other end, proven by an Ed25519 signature or a token.

Three JSON envelopes, before any call is read; their payloads are

    server  auth.challenge  {"protocol": 1, "node", "nonce", "public_key" | null, "pings": true}
    client  auth.response   {"nonce", "public_key", "signature", "certificate" | null}
                        or  {"nonce", "token"}
    server  auth.accepted   {"peer_id", "scopes", "signature" | null}
         or auth.refused    {"reason", "retryable": true if not left out}

Both sign the whole exchange, each under its own label, so neither signature can be replayed in
another exchange or reflected back; the client's covers the server's public key, so it is of no use
to a node in the middle that shows a key of its own. Nonces and keys are 32 bytes, signatures 64
(RFC 8032); all travel as base64. Who says `"pings": true` answers `link.ping`, and may be taken for
gone if it does not. A server whose vault is locked has no key, signs nothing, and is
refused by a client that expects one.

The signatures prove who opened the link. That nobody altered it later is for the link itself to
say: use TLS wherever a link leaves the machine.
"""

import hashlib
import secrets
from typing import Final, TypeVar

import msgspec

from alknet.errors import BadSignature, Locked, Refused, RefusedForNow, RemoteProtocolError
from alknet.keys import CertifiedKey, Ed25519Key, ssh_fingerprint, verify_ed25519
from alknet.wire.credential import Certified
from alknet.wire.link import Format

PROTOCOL: Final = 1
NONCE_BYTES: Final = 32
# No message of the handshake is longer, so that a stranger can make us keep no more than that, nor
# nest values so deep that reading them needs more stack than there is.
LONGEST_BYTES: Final = 8192


class Challenge(msgspec.Struct, frozen=True):
    """The server's first message."""

    node: str
    nonce: bytes
    public_key: bytes | None = None
    protocol: int = PROTOCOL
    pings: bool = False


class Response(msgspec.Struct, frozen=True):
    """The client's answer: a key with its signature, or a token.

    `format` says how the envelopes after the handshake are written, on a link that has no other
    way to agree on it. `pings` says that the client answers `link.ping`. `certificate` is an SSH
    certificate of the key, without base64, if it has one.
    """

    nonce: bytes
    public_key: bytes | None = None
    signature: bytes | None = None
    token: str | None = None
    format: Format | None = None
    pings: bool = False
    certificate: bytes | None = None

    def __repr__(self) -> str:
        return "Response(<redacted>)"


class Accepted(msgspec.Struct, frozen=True):
    """The server's word that calls may follow, and its own proof."""

    peer_id: str
    scopes: tuple[str, ...] = ()
    signature: bytes | None = None


class RefusedMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """The server's word that the link will be closed, and why.

    It is `retryable` if it cannot tell now who the client is, or has no room for it.
    """

    reason: str
    retryable: bool = False


def challenge(node: str, key: Ed25519Key | None) -> Challenge:
    """Return a server's first message, with a fresh nonce from the operating system."""
    return Challenge(
        node=node,
        nonce=secrets.token_bytes(NONCE_BYTES),
        public_key=key.public_key if key is not None else None,
        pings=True,
    )


def respond(
    offered: Challenge,
    key: Ed25519Key | CertifiedKey | str,
    expect: bytes | str | None = None,
    format: Format | None = None,
) -> Response:
    """Return a client's answer to *offered*, signed with *key*, or carrying it if it is a token.

    *expect* is the public key that the server must show, or the fingerprint of it.

    Raises:
        Refused: the server shows another key than *expect*, or speaks another protocol version.
        Locked: a key is expected, and the server shows none.
    """
    if offered.protocol != PROTOCOL:
        raise Refused(
            f"the node speaks version {offered.protocol} of the handshake and this one {PROTOCOL}"
        )
    if len(offered.nonce) != NONCE_BYTES:
        raise RemoteProtocolError(f"the challenge's nonce is not {NONCE_BYTES} bytes long")
    if expect is not None:
        check_key(offered, expect)
    nonce = secrets.token_bytes(NONCE_BYTES)
    if isinstance(key, str):
        return Response(nonce=nonce, token=key, format=format, pings=True)
    proof = key.sign(_transcript(b"client", offered, nonce, key.public_key))
    return Response(
        nonce=nonce,
        public_key=key.public_key,
        signature=proof,
        format=format,
        pings=True,
        certificate=key.certificate if isinstance(key, CertifiedKey) else None,
    )


def check_key(offered: Challenge, expect: bytes | str) -> None:
    """Refuse a server that shows another key than *expect*, or none; it has not proven it yet.

    Raises:
        Refused, Locked: as `respond`.
    """
    wanted = expect if isinstance(expect, str) else ssh_fingerprint(expect)
    if offered.public_key is None:
        raise Locked(
            f"the node at this address should show the key {wanted} and shows none: its vault is "
            f"locked, or it is another node"
        )
    shown = ssh_fingerprint(offered.public_key)
    if shown != wanted:
        raise Refused(
            f"the node at this address should hold the key {wanted} and shows {shown}: "
            f"it is another node, or has another seed"
        )


def prove(offered: Challenge, response: Response) -> bytes | Certified:
    """Return the public key that *response* proves its sender to hold.

    Raises:
        Refused: there is no key, or the signature is not by it over this exchange.
    """
    if response.public_key is None or response.signature is None:
        raise Refused("the answer to the challenge holds neither a token nor a key and a signature")
    if len(response.nonce) != NONCE_BYTES:
        raise Refused(f"the nonce in the answer to the challenge is not {NONCE_BYTES} bytes long")
    message = _transcript(b"client", offered, response.nonce, response.public_key)
    try:
        verify_ed25519(response.public_key, message, response.signature)
    except (BadSignature, ValueError):
        raise Refused("the signature is not by the key that was shown") from None
    if response.certificate is not None:
        return Certified(response.public_key, response.certificate)
    return response.public_key


def accept(
    offered: Challenge, response: Response, key: Ed25519Key | None, peer_id: str, scopes: list[str]
) -> Accepted:
    """Return the server's word that *peer_id* is let in, signed if the server has a key."""
    proof = None
    if key is not None:
        proof = key.sign(_transcript(b"server", offered, response.nonce, response.public_key))
    return Accepted(peer_id=peer_id, scopes=tuple(sorted(scopes)), signature=proof)


def confirm(offered: Challenge, response: Response, accepted: Accepted) -> None:
    """Check the server's own proof, if it has shown a key.

    Raises:
        Refused: the signature is missing or is not by the key that the server has shown.
    """
    if offered.public_key is None:
        return
    message = _transcript(b"server", offered, response.nonce, response.public_key)
    try:
        verify_ed25519(offered.public_key, message, accepted.signature or b"")
    except (BadSignature, ValueError):
        raise Refused("the node does not hold the key that it shows") from None


def _transcript(role: bytes, offered: Challenge, nonce: bytes, public_key: bytes | None) -> bytes:
    """Return what *role* signs: every field at a fixed width, the name by its hash."""
    return b"".join((
        b"alknet handshake 1 ",
        role,
        b"\0",
        hashlib.sha256(offered.node.encode()).digest(),
        offered.nonce,
        nonce,
        offered.public_key or bytes(32),
        public_key or bytes(32),
    ))  # fmt: skip


Message = Challenge | Response | Accepted | RefusedMessage
_TYPES: Final[dict[str, type[Message]]] = {
    "auth.challenge": Challenge,
    "auth.response": Response,
    "auth.accepted": Accepted,
    "auth.refused": RefusedMessage,
}
_NAMES: Final[dict[type, str]] = {message: name for name, message in _TYPES.items()}


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    payload: msgspec.Raw
    id: str = ""


M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    """Return *message* as one JSON envelope `{"type", "id", "payload"}`; its id is empty."""
    name = _NAMES[type(message)]
    return msgspec.json.encode({"type": name, "id": "", "payload": message})


def decode(data: bytes, expected: type[M]) -> M:
    """Return the message in *data*, which must be an *expected*.

    Raises:
        Refused: the peer says that it does not let us in, and why; RefusedForNow: as things are.
        RemoteProtocolError: it is something else, or nothing that can be read.
    """
    if len(data) > LONGEST_BYTES:
        raise RemoteProtocolError(
            f"the peer does not shake hands as alknet does: its message has {len(data)} bytes and "
            f"{LONGEST_BYTES} are the most"
        )
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        kind = _TYPES.get(envelope.type)
        message = None if kind is None else msgspec.json.decode(envelope.payload, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(
            f"the peer does not shake hands as alknet does: {error}"
        ) from None
    if isinstance(message, RefusedMessage):
        raise (RefusedForNow if message.retryable else Refused)(message.reason)
    if not isinstance(message, expected):
        raise RemoteProtocolError(
            f"the handshake is out of order: {_NAMES[expected]} was due and {envelope.type!r} came"
        )
    return message
