__all__ = ["__version__", "aead", "envelope", "quic", "sign", "tls", "vault"]

from . import aead, envelope, quic, sign, tls, vault

__version__: str
