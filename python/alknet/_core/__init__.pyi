__all__ = ["__version__", "aead", "envelope", "quic", "sign", "tls", "vault", "websocket"]

from . import aead, envelope, quic, sign, tls, vault, websocket

__version__: str
