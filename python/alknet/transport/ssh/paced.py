"""Paced: an SSH connection that says when it has room, and ends when its peer leaves too much.

asyncssh queues what the socket does not take, and while keys are exchanged anew queues everything;
what bounds it is the window of each channel, which the peer chooses. So a peer that opens wide
windows and reads nothing could have all memory. Whoever sends here waits for room first.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from asyncssh.constants import MSG_IGNORE

from alknet.transport.ssh.algorithms import CIPHERS, COMPRESSION, KEX, MACS, SIGNATURES
from alknet.wire.limits import KIB, MIB, Limits

log = structlog.get_logger("alknet.transport")

# What is queued beside the data of channels are answers to requests, of a few bytes each.
_MOST_BYTES: Final = 8 * MIB
_MOST_DEFERRED: Final = 4096
# As sshd has it (RFC 4253, section 9).
REKEY_BYTES: Final = 1024 * MIB
REKEY_SECONDS: Final = 3600
_BEATS: Final = 4
# A channel's receive window: what its peer may send that nobody has read. It bounds memory, and on
# a long road the bandwidth; a link has one channel.
WINDOW_BYTES: Final = 2 * MIB
PACKET_BYTES: Final = 128 * KIB


class Paced:
    """Comes before a connection of asyncssh's among the bases of a class, and overrides it."""

    # Of asyncssh: what waits for the end of a key exchange, the socket, and what asks whether the
    # peer is there when nothing has been heard of it.
    _deferred_packets: list[Any]
    _transport: asyncio.Transport | None
    _keepalive_timer: asyncio.TimerHandle | None
    _keepalive_count: int
    _set_keepalive_timer: Callable[[], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._is_full = False
        self._has_heard = False
        self._waiting: list[Callable[[], object]] = []
        super().__init__(*args, **kwargs)

    @property
    def has_room(self) -> bool:
        """Whether what is sent now goes out at once, or nearly so."""
        return not (self._is_full or self._deferred_packets)

    def when_room(self, go_on: Callable[[], object]) -> None:
        """Have *go_on* called once, when there is room or the connection is lost."""
        self._waiting.append(go_on)

    def connection_lost(self, exc: Exception | None = None) -> None:
        super().connection_lost(exc)  # type: ignore[misc]
        self._is_full = False
        self._deferred_packets = []
        self._go_on()

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        super().data_received(data, datatype)  # type: ignore[misc]
        if not self.has_room:
            self._check()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._go_on()

    def send_packet(self, pkttype: int, *args: bytes, **kwargs: Any) -> None:
        # asyncssh sends an empty message before each one, against guesses at the state of ciphers
        # that chain blocks (RFC 4251, section 9.3.1). Ours chain nothing.
        if pkttype != MSG_IGNORE:
            super().send_packet(pkttype, *args, **kwargs)  # type: ignore[misc]

    def _reset_keepalive_timer(self) -> None:
        # Called for whatever is received. To begin a timer each time would cost more than reading.
        self._has_heard = True
        if self._keepalive_timer is None:
            super()._reset_keepalive_timer()  # type: ignore[misc]

    def _keepalive_timer_callback(self) -> None:
        if self._has_heard:
            self._has_heard = False
            self._keepalive_count = 0
            self._set_keepalive_timer()
        else:
            super()._keepalive_timer_callback()  # type: ignore[misc]

    def _send_deferred_packets(self) -> None:
        super()._send_deferred_packets()  # type: ignore[misc]
        self._go_on()

    def _go_on(self) -> None:
        if self.has_room:
            waiting, self._waiting = self._waiting, []
            for go_on in waiting:
                go_on()

    def _check(self) -> None:
        """End the connection if its peer asks much and takes nothing."""
        transport = self._transport
        if transport is None:
            return
        unsent = transport.get_write_buffer_size()
        if unsent > _MOST_BYTES or len(self._deferred_packets) > _MOST_DEFERRED:
            log.warning("connection ended", why=f"the peer has left {unsent} bytes unread")
            self.abort()  # type: ignore[attr-defined]


def options_of(limits: Limits) -> dict[str, Any]:
    """Return what both ends of a connection are told, beside who they are."""
    return {
        "config": None,  # no file of OpenSSH's says anything about us
        "kex_algs": KEX,
        "encryption_algs": CIPHERS,
        "mac_algs": MACS,
        "compression_algs": COMPRESSION,
        "signature_algs": SIGNATURES,
        "gss_host": None,
        "host_based_auth": False,
        "kbdint_auth": False,
        "password_auth": False,
        "x509_trusted_certs": None,
        "login_timeout": limits.handshake_seconds,
        "keepalive_interval": limits.silence_seconds / (_BEATS + 2),
        "keepalive_count_max": _BEATS,
        "rekey_bytes": REKEY_BYTES,
        "rekey_seconds": REKEY_SECONDS,
    }
