"""SSH (RFC 4251 to 4254): calls through what every firewall lets out, and with every SSH client.

`ssh -s HOST alknet` opens the subsystem `alknet`. Who has come so far has proven a key to SSH, by a
signature over that very connection (RFC 4252, section 7), so nothing more is asked: the node says
`auth.accepted`, and calls follow, as JSON in frames. Nodes of ours ask for `alknet-node` instead,
and there shake hands as over any road (`wire.handshake`), with the key that SSH has seen: so they
agree on how envelopes are written, and see which node it is. The user name says nothing, here as
little as elsewhere: who one is, the key says, or the principals of a certificate.

The host key is derived from the seed, and certified by the node's identity. So `expect`, which is
the fingerprint of that identity, pins it as it does over TLS; and OpenSSH believes a node whose
identity stands in known_hosts as `@cert-authority`, or whose host key does.

`-L`, `-D` and `-W` go through the forwarding policy. There are no commands, files, terminals,
agents, displays and listening ports: who asks for them is told so.

asyncssh speaks the protocol, in a loop of asyncio that Trio runs (`engine`); what leaves this
folder are links and streams. It is loaded when the first URL names it.
"""

import trio

from alknet.transport.gate import OPEN, Gate
from alknet.transport.listener import Serve
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits
from alknet.wire.link import Format, Link


async def listen(
    url: str,
    serve: Serve,
    *,
    limits: Limits,
    links: trio.Nursery | None = None,
    gate: Gate = OPEN,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Accept connections at *url* until cancelled, running `serve(link)` for each of their links.

    What serves them runs in *links*, where it outlives the listener, or else ends with it.
    `started` gives the URL with the port that was bound.

    Raises:
        SettingsError: the address cannot be bound; the message says why.
    """
    from alknet.transport.ssh import server

    await server.listen(url, serve, limits=limits, links=links, gate=gate, task_status=task_status)


async def dial(
    nursery: trio.Nursery,
    url: str,
    *,
    limits: Limits,
    format: Format = "json",
    trust: Trust = Trust(),  # noqa: B008 - it is frozen
    timeout: float = 10.0,
) -> Link:
    """Open an SSH connection to *url* with one link, served in *nursery*. *timeout* is in seconds.

    Raises:
        Unreachable: nobody answers there, or nobody who speaks alknet over SSH.
        Refused: the node does not hold the key that *trust* expects, or does not let us in, or we
            have no key, or expect none.
        Locked: the node has no host key now, since its vault is locked.
    """
    from alknet.transport.ssh import client

    return await client.dial(
        nursery, url, limits=limits, format=format, trust=trust, timeout=timeout
    )
