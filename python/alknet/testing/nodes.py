"""A node in one line, and clients of it in another."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio

from alknet.call.client import Client
from alknet.call.home import NONE
from alknet.call.remote import DEFAULT_TIMEOUT
from alknet.connect import connect
from alknet.keys import Ed25519Key, Keyring, ssh_public_line
from alknet.node import Node, open_node
from alknet.protocol.auth import ReloadKeys
from alknet.runtime.service import Service
from alknet.services.auth.keyset import AuthSettings, Peer
from alknet.settings import Settings
from alknet.testing import people
from alknet.transport.memory import memory_pair
from alknet.transport.road import Dial
from alknet.wire.limits import DEFAULT_LIMITS, Limits
from alknet.wire.link import Format, Link


@asynccontextmanager
async def node(
    services: Iterable[Service] = (),
    *,
    settings: Settings | None = None,
    keyring: Keyring | None = None,
    is_locked: bool = False,
    capabilities: Mapping[str, Any] = NONE,
) -> AsyncIterator[Node]:
    """Run a node with *services* in this process, and stop it when the block is left.

    It listens nowhere unless *settings* say so; `connected` gets in without. Its vault holds
    *keyring*, or the one of `testing.PHRASE`, or, if *is_locked*, nothing. It is strict: a call
    whose answer is not what its operation promises fails. Everything else that *settings* leave out
    is as in a node of its own.
    """
    settings = settings or Settings()
    # A table of our own, not a copy of it: `introduce` adds to it while the node runs.
    tables: dict[str, Any] = {"auth": AuthSettings(), **settings.services}
    strict = msgspec.structs.replace(settings.node, strict=True)
    settings = msgspec.structs.replace(settings, node=strict, services=tables)
    if keyring is None and not is_locked:
        keyring = people.keyring()
    async with open_node(
        settings, keyring=keyring, services=services, capabilities=capabilities
    ) as running:
        yield running


@asynccontextmanager
async def connected(
    node: Node,
    *,
    name: str = "tester",
    scopes: Iterable[str] = ("*",),
    services: Iterable[Service] = (),
    identity: Ed25519Key | str | None = None,
    expect: bytes | str | None = None,
    grant: Iterable[str] = ("*",),
    timeout: float = DEFAULT_TIMEOUT,
    format: Format = "json",
    limits: Limits = DEFAULT_LIMITS,
    reconnect: bool = False,
    dial: Dial | None = None,
) -> AsyncIterator[Client]:
    """Yield a client of *node*, over a link within this process.

    The node is told that `key(name)` is *name*'s, who has *scopes*, and that is who the client is;
    an *identity* of your own must be known there already. *services* are offered to the node and
    can be called through it at `/{name}/...`; they are strict, as those of `node`. *dial* is the
    road that the link comes by, a `FaultyRoad` for instance; without it, one on which nothing goes
    wrong. The rest is as for `alknet.connect`.

    Raises:
        Refused: the node does not know *identity*.
    """
    if identity is None:
        identity = await introduce(node, name, scopes)
    async with connect(
        f"memory://{node.name}",
        identity=identity,
        expect=expect,
        services=services,
        grant=grant,
        timeout=timeout,
        format=format,
        limits=limits,
        reconnect=reconnect,
        strict=True,
        dial=dial or road_to(node),
    ) as client:
        yield client


async def introduce(node: Node, name: str, scopes: Iterable[str] = ("*",)) -> Ed25519Key:
    """Have *node* know *name*, who has *scopes*; return the key that proves to be *name*.

    What it knew of *name* is replaced; links that are open stay as they are.

    Raises:
        TypeError: the node's peers stand in a file or elsewhere out of reach; see `testing.node`.
    """
    tables = node.settings.services
    known = tables.get("auth")
    if (
        node.settings.path is not None
        or not isinstance(tables, dict)
        or not isinstance(known, AuthSettings)
    ):
        raise TypeError(
            f"the peers of {node.name!r} are not ours to add to: open it with testing.node(), "
            f"or list the key in its settings and give it to connected() as `identity`"
        )
    key = people.key(name)
    peer = Peer(name, (ssh_public_line(key.public_key, name),), frozenset(scopes))
    others = tuple(other for other in known.peers if other.name != name)
    tables["auth"] = msgspec.structs.replace(known, peers=(*others, peer))
    await node.client.call(ReloadKeys())
    return key


def road_to(node: Node, *, framed: bool = False, capacity: int = 64) -> Dial:
    """Return the road to *node* within this process: `dial` for `connect` and `FaultyRoad`.

    With *framed* its links carry a byte stream, as TCP does, else an envelope in each message, as
    a WebSocket does. *capacity* is how many pieces a reader may leave unread before the sender
    waits.
    """

    async def dial(
        nursery: trio.Nursery,  # noqa: ARG001 - every road takes the same
        url: str,  # noqa: ARG001
        *,
        limits: Limits,  # noqa: ARG001
        format: Format = "json",
    ) -> Link:
        await trio.lowlevel.checkpoint()
        near, far = memory_pair(capacity=capacity, framed=framed, format=format)
        node.accept(far)
        return near

    return dial
