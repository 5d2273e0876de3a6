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
folder are links and streams.
"""

from alknet.transport.ssh.client import dial
from alknet.transport.ssh.server import listen

__all__ = ["dial", "listen"]
