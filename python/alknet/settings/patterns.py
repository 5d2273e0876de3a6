"""What texts in stack.toml must look like, as patterns for programs and in words for people."""

from typing import Final

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
FINGERPRINT: Final = r"^SHA256:[A-Za-z0-9+/]{43}$"
URL: Final = r"^((ws|wss|tcp|tls|quic|ssh)://[^/]+|dns://[^/]+/[^/]+)$"
TLS_URL: Final = r"^((wss|tls|quic|ssh)://[^/]+|dns://[^/]*/[^/]+)$"
# RFC 6454, section 6.2: no path, not even a slash.
ORIGIN: Final = r"^(\*|[a-z][a-z0-9+.-]*://[^/]+)$"

# A value that is meant to be one of these is no secret, so the error may repeat it.
IN_WORDS: Final = {
    NAME: "should be up to 63 letters, digits, '.', '_' and '-', and begin with one of the first",
    FINGERPRINT: "should read SHA256: and 43 characters, as `alknet status` prints it",
    ORIGIN: "should read https://host, with a port if it is not the usual one and no path, or *",
    URL: "should read ws://host:port, wss://, tcp://, tls://, ssh:// or quic://, or "
    "dns://host:port/zone",
    TLS_URL: "should read tls://host:port, wss://, ssh://, quic:// or dns://resolver/zone, so that "
    "both ends prove who they are",
}
