"""Lines of authorized_keys (sshd(8)): a public key, and options that say what it is good for.

Every option is honoured or refused, never passed over: who writes `from="10.0.0.0/8"` must not
find later that nobody looked. Honoured are `cert-authority`, `principals=`, `from=`,
`expiry-time=`, `command=`, whose value is the one operation that the key may then call,
`permitopen=`, which may stand several times, `no-port-forwarding`, `port-forwarding` and
`restrict`: over whatever road the key comes. Those that take away what a node never gives (a
terminal, X11, an agent, the user's rc file) hold anyway.
"""

import base64
import binascii
import hashlib
import re
import time
from calendar import timegm
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from alknet.errors import BadKey, InvalidInput
from alknet.keys import parse_ssh_public_line
from alknet.protocol.forwarding import ForwardingRule
from alknet.services.auth.sources import Sources

ED25519: Final = "ssh-ed25519"
_ED25519_BLOB: Final = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
_RAW_KEY: Final = re.compile(r"^ed25519:(?P<hex>[0-9a-fA-F]{64})$")
_FINGERPRINT: Final = re.compile(r"^SHA256:[A-Za-z0-9+/]{43}$")
_KEY_TYPE: Final = re.compile(r"^(?:ssh-|ecdsa-sha2-|sk-)[a-z0-9@.-]+$")
# Authorities may have other keys than peers: their signatures are checked by a library.
_AUTHORITY_TYPES: Final = (
    ED25519, "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"
)  # fmt: skip
_OPTION: Final = re.compile(
    r'(?P<name>[A-Za-z0-9-]+)(?:="(?P<value>(?:\\"|[^"])*)")?(?P<end>,|\s+|$)'
)
_NEVER_GIVEN: Final = {"no-pty", "no-x11-forwarding", "no-agent-forwarding", "no-user-rc"}
_OPERATION: Final = re.compile(r"^(?:/[A-Za-z0-9._-]+/)?(?P<name>[a-z0-9-]+(?:/[a-z0-9-]+)+)$")
_TIME: Final = re.compile(r"^(?P<date>\d{8})(?P<clock>\d{4}(?:\d{2})?)?(?P<utc>Z)?$")


class AuthorizedKey(msgspec.Struct, frozen=True):
    """One line: the key as OpenSSH encodes it, and what it is good for.

    With `pin` only the key's fingerprint is known. With `is_authority` it signs certificates, and
    `principals` are those of which one must be in them. `command` is the name of the one operation
    it may call, None for any; `expires` is in Unix seconds. Where it `may_forward`, it may to the
    targets in `permitted`, or wherever the policy lets it if there are none.
    """

    blob: bytes
    pin: str | None = None
    is_authority: bool = False
    principals: frozenset[str] = frozenset()
    sources: Sources | None = None
    expires: float = float("inf")
    command: str | None = None
    may_forward: bool = True
    permitted: frozenset[str] = frozenset()

    @property
    def forwards(self) -> frozenset[str] | None:
        """Where alone connections may be forwarded for it, as an Identity has it."""
        return self.permitted or None if self.may_forward else frozenset()

    @property
    def public_key(self) -> bytes | None:
        """The 32 raw bytes of an Ed25519 key, None if only its fingerprint is known."""
        return self.blob.removeprefix(_ED25519_BLOB) if self.pin is None else None

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and the hash of the key, as OpenSSH prints it."""
        return self.pin or blob_fingerprint(self.blob)

    @classmethod
    def parse(cls, line: str) -> "AuthorizedKey":
        """Return what *line* says; a fingerprint, or `ed25519:` and 64 hex digits, are keys too.

        Raises:
            BadKey: it holds no key, or an option that cannot be honoured.
        """
        raw = _RAW_KEY.match(line)
        if raw:
            return cls(_ED25519_BLOB + bytes.fromhex(raw["hex"]))
        if _FINGERPRINT.match(line):
            return cls(b"", pin=line)
        options, key = _split(line)
        parsed = cls(b"")
        for name, value in options:
            parsed = _apply(parsed, name, value)
        if parsed.principals and not parsed.is_authority:
            raise BadKey("the option principals= needs cert-authority beside it")
        return msgspec.structs.replace(parsed, blob=_blob(key, is_authority=parsed.is_authority))


def read_file(path: Path) -> Iterator[AuthorizedKey]:
    """Yield the keys in the authorized_keys file *path*; blank lines and comments are left out.

    Raises:
        BadKey: it cannot be read, or a line of it; the message says which.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise BadKey(f"cannot read {path}: {why.lower()}") from None
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            try:
                yield AuthorizedKey.parse(text)
            except BadKey as error:
                raise BadKey(f"{path}:{number}: {error}") from None


def operation_of(text: str) -> str:
    """Return the name of the operation that a forced command is.

    Raises:
        BadKey: it is none.
    """
    found = _OPERATION.match(text)
    if found is None:
        raise BadKey(
            f"the command {text!r} is no operation: a key can be held to one, as in "
            f"/head/secrets/derive"
        )
    return found["name"]


def blob_fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a public key of any kind, as OpenSSH encodes it."""
    digest = hashlib.sha256(blob).digest()
    return f"SHA256:{base64.b64encode(digest).rstrip(b'=').decode()}"


def _split(line: str) -> tuple[list[tuple[str, str | None]], str]:
    """Return the options in front of a key, and the key with its comment."""
    options: list[tuple[str, str | None]] = []
    rest = line.strip()
    while not _KEY_TYPE.match(rest.split(maxsplit=1)[0] if rest else ""):
        found = _OPTION.match(rest)
        if found is None or not found["end"]:
            # Of a line that is no key at all, the one error that says so.
            raise BadKey(
                "this is no line of authorized_keys: it should read "
                "[options] ssh-ed25519 AAAA... [comment]"
            )
        name = found["name"].lower()
        if name != "permitopen" and name in dict(options):
            raise BadKey(f"the option {name!r} stands twice")
        value = found["value"]
        options.append((name, None if value is None else value.replace('\\"', '"')))
        rest = rest[found.end() :]
        if found["end"] != "," and not _KEY_TYPE.match(rest.split(maxsplit=1)[0] if rest else ""):
            raise BadKey("no ssh key follows the options")
    return options, rest


def _apply(key: AuthorizedKey, name: str, value: str | None) -> AuthorizedKey:
    replace = msgspec.structs.replace
    match name, value:
        case "cert-authority", None:
            return replace(key, is_authority=True)
        case "principals", str():
            names = frozenset(each.strip() for each in value.split(","))
            if "" in names:
                raise BadKey("the option principals= lists an empty name")
            return replace(key, principals=names)
        case "from", str():
            return replace(key, sources=Sources.parse(value))
        case "expiry-time", str():
            return replace(key, expires=_time(value))
        case "command", str():
            return replace(key, command=operation_of(value))
        case (("restrict" | "no-port-forwarding"), None):
            return replace(key, may_forward=False)
        case "port-forwarding", None:
            return replace(key, may_forward=True)
        case "permitopen", str():
            return replace(key, permitted=key.permitted | {_target(value)})
        case _ if name in _NEVER_GIVEN and value is None:
            return key
        case _:
            raise BadKey(
                f"the option {name!r} cannot be honoured here, and none is passed over: `scopes` "
                f"say what a key may do, and [config.forwarding] where it may be forwarded to"
            )


def _target(text: str) -> str:
    try:
        ForwardingRule(text, "allow")
    except InvalidInput as error:
        raise BadKey(f"permitopen: {error}") from None
    return text


def _time(text: str) -> float:
    """Return Unix seconds of `YYYYMMDD[HHMM[SS]][Z]`, in local time without the Z."""
    found = _TIME.match(text)
    try:
        assert found is not None
        read = time.strptime(
            found["date"] + (found["clock"] or "0000").ljust(6, "0"), "%Y%m%d%H%M%S"
        )
    except (AssertionError, ValueError):
        raise BadKey(f"expiry-time {text!r} should read YYYYMMDD, or YYYYMMDDHHMMSSZ") from None
    return float(timegm(read)) if found["utc"] else time.mktime(read)


def _blob(key: str, *, is_authority: bool) -> bytes:
    kind, _, rest = key.partition(" ")
    if not is_authority or kind == ED25519:
        if kind != ED25519:
            raise BadKey(f"a peer's key is an {ED25519} key, and this is {kind}")
        return _ED25519_BLOB + parse_ssh_public_line(key)[0]
    encoded = rest.split(maxsplit=1)[0] if rest.strip() else ""
    # Only who has such an authority waits for the library to load.
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        if kind not in _AUTHORITY_TYPES:
            raise ValueError
        load_ssh_public_key(f"{kind} {encoded}".encode())
        return base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise BadKey(f"the key of the authority, {kind}, cannot be read or is not known") from None
