"""QUIC (RFC 9000): a link that is encrypted, that loss slows less, and that changes its address.

The protocol is Rust's (`rust/core/src/quic`): datagrams in, datagrams out; here are the sockets and
those who wait. The handshake is TLS 1.3, with the same certificates and the same trust as over TCP.
"""

from alknet.transport.quic.dialling import dial as dial
from alknet.transport.quic.listening import listen as listen
