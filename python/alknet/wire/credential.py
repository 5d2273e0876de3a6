"""What somebody proves to be: a key and the certificate that was shown with it."""

import msgspec


class Certified(msgspec.Struct, frozen=True):
    """A proven key, and the SSH certificate that was shown with it, of which nothing is proven."""

    public_key: bytes
    certificate: bytes
