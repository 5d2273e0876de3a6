"""What is negotiated, and nothing else: one good algorithm of each kind, or two.

Terrapin (CVE-2023-48795) cuts messages off the start of a connection whose cipher counts packets
itself: ChaCha20-Poly1305, and CBC with encrypt-then-MAC. AES-GCM keeps a count of its own from one
key exchange to the next, so it is out of reach also for a peer that does not know `kex-strict`;
both ends announce that all the same. Every client of the last ten years has AES-GCM.

Keys are Ed25519, as all of ours are, and key exchanges those of curve 25519, with ML-KEM beside it
where the machine has that.
"""

from typing import Final

from asyncssh.kex import get_kex_algs

ED25519: Final = "ssh-ed25519"
ED25519_CERTIFICATE: Final = "ssh-ed25519-cert-v01@openssh.com"

_KEX: Final = ("mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org")
_AVAILABLE: Final = frozenset(name.decode() for name in get_kex_algs())

KEX: Final = tuple(name for name in _KEX if name in _AVAILABLE)
CIPHERS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
# An authenticated cipher uses none, but the lists of two peers must still have one in common.
MACS: Final = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")
# What deflates before it encrypts tells by the length of a packet what is in it.
COMPRESSION: Final = ("none",)
SIGNATURES: Final = (ED25519,)
HOST_KEYS: Final = (ED25519_CERTIFICATE, ED25519)
