"""DNS: frames in queries and answers, for networks where nothing else gets out. It is slow.

The node is the name server of a zone, as `dns://0.0.0.0:5353/tunnel.example.org`; whoever owns
`example.org` delegates the zone to it. A client writes what it has to say into the names it asks
for, in base32, and reads what the node has to say from the TXT records of the answers. Any resolver
takes them there: `dns:///tunnel.example.org` by those that this machine uses, and
`dns://9.9.9.9/tunnel.example.org` by that one. The URL is that of RFC 4501: whom to ask, and for
what; so the node's own URL is the same, and works without a resolver between.

Bottom up: `names` and `messages` say how bytes stand in DNS, `packet` what the bytes are, `window`
how they arrive whole and in order, `asking` and `answering` when the client asks and the node
answers; none of these has sockets or a clock. `stream` is what tasks wait for, and `link` puts TLS
1.3 over it: resolvers on the way can delay, drop and count what is said, and neither read nor
change it.
"""

from alknet.transport.dns.dialling import dial
from alknet.transport.dns.listening import listen

__all__ = ["dial", "listen"]
