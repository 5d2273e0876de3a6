"""Admission: the handshake of `wire.handshake`, carried over a link by both its ends."""

from collections.abc import Awaitable, Callable

import trio

from alknet.errors import Refused, RemoteProtocolError, Unreachable
from alknet.identity import Identity
from alknet.keys import Ed25519Key
from alknet.wire import handshake
from alknet.wire.limits import Limits
from alknet.wire.link import Link

# Answers whose key or token this is, or why it is nobody's.
Verify = Callable[[bytes | str], Awaitable[Identity | str]]


async def admit(
    link: Link, *, node: str, key: Ed25519Key | None, verify: Verify, limits: Limits
) -> Identity:
    """Find out who is at the other end of *link*, before any call is read.

    *verify* is asked about the proven public key, or about the token. The peer that is refused is
    told why.

    Raises:
        Refused: the peer is not let in.
        RemoteProtocolError: it does not shake hands.
        Disconnected: it has hung up.
    """
    with trio.move_on_after(limits.handshake_seconds):
        offered = handshake.challenge(node, key)
        await link.send([handshake.encode(offered)])
        try:
            response = handshake.decode(await _receive(link), handshake.Response)
            if response.token is not None:
                if not link.is_confidential:
                    raise Refused("a token may not travel over a link that can be listened to")
                verdict = await verify(response.token)
            else:
                verdict = await verify(handshake.prove(offered, response))
            if isinstance(verdict, str):
                raise Refused(verdict)
        except (Refused, RemoteProtocolError) as error:
            await link.send([handshake.encode(handshake.RefusedMessage(str(error)))])
            raise
        accepted = handshake.accept(offered, response, key, verdict.id, list(verdict.scopes))
        await link.send([handshake.encode(accepted)])
        return verdict
    raise Refused(f"the peer did not prove who it is within {limits.handshake_seconds:g} s")


async def enter(
    link: Link, *, key: Ed25519Key | str, expect: bytes | None, limits: Limits
) -> tuple[handshake.Challenge, handshake.Accepted]:
    """Prove to the node at the other end of *link* who we are; return what it says of itself.

    Raises:
        Refused: it does not let us in, or is not the node that we expect.
        RemoteProtocolError: it does not shake hands.
        Disconnected: it has hung up.
        Unreachable: it said nothing in time.
    """
    with trio.move_on_after(limits.handshake_seconds):
        offered = handshake.decode(await _receive(link), handshake.Challenge)
        response = handshake.respond(offered, key, expect)
        await link.send([handshake.encode(response)])
        accepted = handshake.decode(await _receive(link), handshake.Accepted)
        handshake.confirm(offered, response, accepted)
        return offered, accepted
    raise Unreachable(
        f"{link.peer_address} took the connection and did not shake hands "
        f"within {limits.handshake_seconds:g} s"
    )


async def _receive(link: Link) -> bytes:
    data = await link.receive()
    if not data:
        raise RemoteProtocolError(f"{link.peer_address} hung up in the middle of the handshake")
    return data
