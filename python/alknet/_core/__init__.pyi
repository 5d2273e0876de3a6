__all__ = ["__version__", "aead", "envelope", "sign", "vault"]

from . import aead, envelope, sign, vault

__version__: str
