"""Admission: the handshake of `wire.handshake`, carried over a link by both its ends."""

from contextlib import suppress
from typing import Final

import trio

from alknet.errors import (
    AlknetError,
    CallError,
    Disconnected,
    Refused,
    RemoteProtocolError,
    Unreachable,
)
from alknet.identity import Identity
from alknet.keys import CertifiedKey, Ed25519Key
from alknet.protocol.auth import Granted
from alknet.transport.gate import Verify
from alknet.turnstile import turnstile
from alknet.wire import handshake
from alknet.wire.credential import Certified
from alknet.wire.limits import Limits
from alknet.wire.link import Link

_LENGTH_BYTES: Final = 4


async def admit(
    link: Link,
    *,
    node: str,
    key: Ed25519Key | None,
    verify: Verify,
    limits: Limits,
    wants_certificate: bool = False,
) -> Identity:
    """Find out who is at the other end of *link*, before any call is read.

    *verify* is asked about the proven public key, or about the token. What the peer has brought
    already, as its certificate or in its first request, is judged before anything of it is read;
    with *wants_certificate*, who has shown none over TLS is refused. The peer that is refused is
    told why.

    Raises:
        Refused: the peer is not let in.
        RemoteProtocolError: it does not shake hands.
        Disconnected: it has hung up.
        CallError: *verify* has no answer.
    """
    step = turnstile().step
    with trio.move_on_after(limits.handshake_seconds):
        try:
            brought = await _judge_credential(link, verify, wants_certificate)
            if brought is not None and isinstance(link.credential, Granted):
                # A token has nothing to sign: who brings one in the first request is let in by it.
                # And who has come by SSH has signed what binds the key to this very connection.
                await _send(link, handshake.Accepted(brought.id, tuple(sorted(brought.scopes))))
                return brought
            await step()
            offered = handshake.challenge(node, key)
            await _send(link, offered)
            answer = await _receive(link)
            await step()
            response = handshake.decode(answer, handshake.Response)
            if response.token is not None:
                if not link.is_confidential:
                    raise Refused("a token may not travel over a link that can be listened to")
                verdict = await verify(response.token)
            else:
                verdict = await _judge_key(
                    link, handshake.prove(offered, response), verify, brought
                )
            if isinstance(verdict, str):
                raise Refused(verdict)
        except Disconnected:
            raise
        except AlknetError as error:
            # That nobody can tell now who it is, because a service restarts, is a reason too.
            with suppress(Disconnected):
                retryable = isinstance(error, CallError) and error.retryable
                await _send(link, handshake.RefusedMessage(str(error), retryable))
            raise
        await step()
        accepted = handshake.accept(offered, response, key, verdict.id, list(verdict.scopes))
        if link.framed and response.format is not None:
            link.format = response.format
        link.answers_pings = response.pings
        await _send(link, accepted)
        return verdict
    raise Refused(f"the peer did not prove who it is within {limits.handshake_seconds:g} s")


async def _judge_credential(link: Link, verify: Verify, wants_certificate: bool) -> Identity | None:
    """Return whose the credential is that *link* brought, or None if it brought none."""
    if wants_certificate and not _is_of_a_key(link.credential):
        raise Refused(
            "this node wants the certificate of everybody who calls: connect over tls://, "
            "quic:// or wss:// with a key that is listed, and not with an SSH certificate or a "
            "token"
        )
    if link.credential is None:
        return None
    if isinstance(link.credential, Granted) and not link.is_confidential:
        raise Refused("a token may not travel over a link that can be listened to")
    verdict = await verify(link.credential)
    if isinstance(verdict, str):
        raise Refused(verdict)
    return verdict


def _is_of_a_key(credential: bytes | Certified | Granted | None) -> bool:
    """Whether the link has proven a key, by the certificate of TLS or by SSH."""
    if isinstance(credential, Granted):
        proven = credential.credential
        return proven is not None and proven.kind in ("key", "certificate")
    return credential is not None


async def _judge_key(
    link: Link, proven: bytes | Certified, verify: Verify, brought: Identity | None
) -> Identity | str:
    if brought is None:
        return await verify(proven)
    if proven != link.credential:
        return "the key that signs is not that of the certificate which was shown for this link"
    return brought


async def offered_by(link: Link) -> handshake.Challenge:
    """Return what the node at the other end of *link* says of itself, of which nothing is proven.

    Raises:
        Refused, RemoteProtocolError, Disconnected: as `enter`.
    """
    return handshake.decode(await _receive(link), handshake.Challenge)


async def enter(
    link: Link, *, key: Ed25519Key | CertifiedKey | str, expect: bytes | str | None, limits: Limits
) -> tuple[handshake.Challenge, handshake.Accepted]:
    """Prove to the node at the other end of *link* who we are; return what it says of itself.

    Raises:
        Refused: it does not let us in, is not the node that we expect, or would get our token over
            a link that can be listened to.
        Locked: we expect a certain node, and it shows no key.
        RemoteProtocolError: it does not shake hands.
        Disconnected: it has hung up.
        Unreachable: it said nothing in time.
    """
    if isinstance(key, str) and not link.is_confidential:
        raise Refused(f"a token is not sent to {link.peer_address} in clear: use wss://, or a key")
    with trio.move_on_after(limits.handshake_seconds):
        offered = await offered_by(link)
        response = handshake.respond(offered, key, expect, link.format if link.framed else None)
        await _send(link, response)
        accepted = handshake.decode(await _receive(link), handshake.Accepted)
        handshake.confirm(offered, response, accepted)
        link.answers_pings = offered.pings
        return offered, accepted
    raise Unreachable(
        f"{link.peer_address} took the connection and did not shake hands "
        f"within {limits.handshake_seconds:g} s"
    )


async def _send(link: Link, message: handshake.Message) -> None:
    data = handshake.encode(message)
    await link.send([len(data).to_bytes(_LENGTH_BYTES, "big") + data if link.framed else data])


async def _receive(link: Link) -> bytes:
    """Return the next message; what came after it on a framed link stays unread there."""
    data = await _more(link)
    if not link.framed:
        return data
    while True:
        length = int.from_bytes(data[:_LENGTH_BYTES], "big")
        if len(data) >= _LENGTH_BYTES and not 0 < length <= handshake.LONGEST_BYTES:
            raise RemoteProtocolError(
                f"{link.peer_address} does not shake hands as alknet does: its first frame has "
                f"{length} bytes"
            )
        end = _LENGTH_BYTES + length
        if len(data) >= end > _LENGTH_BYTES:
            link.unread = data[end:]
            return data[_LENGTH_BYTES:end]
        data += await _more(link)


async def _more(link: Link) -> bytes:
    data = await link.receive()
    if not data:
        raise RemoteProtocolError(f"{link.peer_address} hung up in the middle of the handshake")
    return data
