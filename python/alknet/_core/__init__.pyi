__all__ = ["__version__", "aead", "envelope", "sign", "tls", "vault"]

from . import aead, envelope, sign, tls, vault

__version__: str
