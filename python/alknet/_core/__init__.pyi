__all__ = ["__version__", "aead", "envelope", "sign", "tls", "vault", "websocket"]

from . import aead, envelope, sign, tls, vault, websocket

__version__: str
