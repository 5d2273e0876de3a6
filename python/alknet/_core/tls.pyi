from collections.abc import Sequence
from typing import final

from typing_extensions import Buffer

from alknet._core.sign import Ed25519Key

__all__ = ["Certificate", "Roots", "Server", "Session"]

@final
class Certificate:
    @staticmethod
    def of_key(key: Ed25519Key) -> Certificate: ...
    @staticmethod
    def from_pem(chain: Buffer, key: Buffer) -> Certificate: ...
    @property
    def der(self) -> bytes: ...

@final
class Roots:
    @staticmethod
    def from_pem(bundle: Buffer) -> Roots: ...

@final
class Server:
    def __new__(
        cls, own: Certificate | None, named: Sequence[Certificate], protocols: Sequence[bytes]
    ) -> Server: ...
    def accept(self) -> Session: ...

@final
class Session:
    @staticmethod
    def connect(
        name: str,
        own: Certificate | None,
        expect: str | None,
        roots: Roots | None,
        protocols: Sequence[bytes],
    ) -> Session: ...
    def feed(self, data: Buffer) -> bytes: ...
    def write(self, data: Buffer) -> bytes: ...
    def take(self) -> bytes: ...
    def finish(self) -> bytes: ...
    @property
    def is_handshaking(self) -> bool: ...
    @property
    def has_ended(self) -> bool: ...
    @property
    def peer_key(self) -> bytes | None: ...
