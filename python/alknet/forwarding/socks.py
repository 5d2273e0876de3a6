"""A SOCKS 5 proxy on this machine, whose connections a node opens: names are resolved there."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import trio

from alknet.call.client import HERE, Client
from alknet.errors import CallError, DeadlineExceeded, Forbidden, SettingsError
from alknet.forwarding.local import LOOPBACK, TurnedAway, joined, open_local
from alknet.forwarding.tunnel import open_tunnel
from alknet.transport.address import bracket, is_loopback
from alknet.transport.connection import Connection
from alknet.wire.socks import Conversation, Denied, Reply, Wanted, reply

# How long a client may take to say where it wants to go.
_ASKING_SECONDS: Final = 30.0
_REPLIES: Final = {
    "name-unknown": Reply.HOST_UNREACHABLE,
    "unreachable": Reply.HOST_UNREACHABLE,
    "refused": Reply.REFUSED,
    "timeout": Reply.TTL_EXPIRED,
}


@asynccontextmanager
async def open_socks(
    client: Client, *, bind: str = LOOPBACK, bind_port: int = 0, node: str = HERE
) -> AsyncIterator[str]:
    """Run a SOCKS 5 proxy at *bind_port* of this machine, which connects as *node* can.

    Yields where it listens, as `host:port`; with *bind_port* 0 the system chooses. What fails ends
    the one connection, with a reply that says why, and is logged.

    Raises:
        SettingsError: the port cannot be had, or *bind* is not of this machine alone: the protocol
            has no password worth the name, and whoever could reach it would act in our name.
    """
    if not is_loopback(f"{bind}:0"):
        raise SettingsError(
            f"a SOCKS proxy asks nobody who they are, so that it listens at 127.0.0.1 or [::1] "
            f"and not at {bind}"
        )

    async def serve(local: Connection) -> None:
        conversation = Conversation()
        with trio.fail_after(_ASKING_SECONDS):
            wanted = await _wanted(local, conversation)
        async with AsyncExitStack() as stack:
            try:
                tunnel = await stack.enter_async_context(
                    open_tunnel(client, wanted.host, wanted.port, node=node)
                )
            except CallError as error:
                await local.send(reply(_reply_to(error)))
                where = f"{bracket(wanted.host)}:{wanted.port}"
                raise TurnedAway(f"{where}: {error}") from None
            await local.send(reply(Reply.SUCCEEDED, tunnel.opened.address, tunnel.opened.port))
            if conversation.rest:
                await tunnel.send(conversation.rest)
            await joined(local, tunnel)

    async with open_local(serve, bind, bind_port, target="where it asks for") as where:
        yield where


async def _wanted(local: Connection, conversation: Conversation) -> Wanted:
    """Hear where the client wants to be connected.

    Raises:
        TurnedAway: it says something else, and was told so.
    """
    while (wanted := conversation.wanted) is None:
        data = await local.receive()
        if not data:
            raise TurnedAway("the client has left before it had asked for anything")
        try:
            answer = conversation.receive(data)
        except Denied as denied:
            if denied.answer:
                await local.send(denied.answer)
            raise TurnedAway(str(denied)) from None
        if answer:
            await local.send(answer)
    return wanted


def _reply_to(error: CallError) -> Reply:
    """Return what to tell a client whose connection failed with *error*."""
    if isinstance(error, Forbidden):
        return Reply.NOT_ALLOWED
    if isinstance(error, DeadlineExceeded):
        return Reply.TTL_EXPIRED
    return _REPLIES.get((error.details or {}).get("reason", ""), Reply.FAILED)
