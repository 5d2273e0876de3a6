"""Which node to call, and who asks: from the options, or the settings and the key beside them."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from alknet.call.client import Client
from alknet.cli import identity
from alknet.cli.failure import Failure, Misuse
from alknet.connect import connect
from alknet.errors import BadKey, Locked, SettingsError
from alknet.keys import CertifiedKey, Ed25519Key, parse_ssh_public_line
from alknet.settings import load_node
from alknet.transport.address import Address
from alknet.wire.link import Format

CONFIG: Final = Path("stack.toml")
DEFAULT_URL: Final = "ws://127.0.0.1:8480"


class Target(msgspec.Struct, frozen=True):
    """A node to call, and the key or token to call it with.

    `others` are more ways to it than `url`, in order of preference.
    `expect` is the key or fingerprint that the node must show; None believes whoever answers, over
    TLS if an authority vouches for it: one in the file `ca`, or that the system trusts.
    """

    url: str
    key: Ed25519Key | CertifiedKey | str
    expect: bytes | str | None
    timeout: float
    ca: Path | None = None
    others: tuple[str, ...] = ()

    @asynccontextmanager
    async def open(
        self, *, is_pinned: bool = True, reconnects: bool = False, format: Format = "json"
    ) -> AsyncIterator[Client]:
        """Open a link and yield a client for it; without *is_pinned*, whoever answers is believed.

        With *reconnects* the link is opened again when it is lost.

        Raises:
            Unreachable, Refused, Locked: as `alknet.connect`.
        """
        expect = self.expect if is_pinned else None
        async with connect(
            [self.url, *self.others],
            identity=self.key,
            expect=expect,
            timeout=self.timeout,
            ca=self.ca,
            reconnect=reconnects,
            format=format,
        ) as client:
            yield client

    @asynccontextmanager
    async def open_even_if_locked(self) -> AsyncIterator[Client]:
        """As `open`; but a node that cannot show a key, because its vault is locked, is believed.

        For what neither tells that node a secret nor takes its word for much.
        """
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(self.open())
            except Locked:
                client = await stack.enter_async_context(self.open(is_pinned=False))
            yield client


def find_target(
    url: str | None,
    config: Path | None,
    identity_file: Path | None,
    token_file: Path | None,
    timeout: float,
    expect: str | None,
    ca: Path | None = None,
) -> Target:
    """Return the target that the options, or else the settings, name.

    Raises:
        Misuse: they name none, or two.
        SettingsError, Failure: a file that they name cannot be used.
    """
    if (
        identity_file is not None
        and token_file is not None
        and not os.environ.get(identity.VARIABLE)
    ):
        raise Misuse("--identity and --token-file are two ways to say who you are: choose one")
    beside = config or CONFIG
    pinned: bytes | str | None = None if expect is None else _read_expected(expect)
    others: list[str] = []
    if url is None and (config is not None or CONFIG.is_file()):
        settings = load_node(beside)
        url, *others = _connectable(settings.listen, beside)
        pinned = settings.identity if pinned is None else pinned
    url = _checked(url or DEFAULT_URL)
    key: Ed25519Key | CertifiedKey | str
    if token_file is not None:
        key = identity.read_token(token_file)
    else:
        file = identity_file or _default_key(beside.parent)
        key = identity.with_certificate(identity.read_key(file), file)
    return Target(url, key, pinned, timeout, ca, tuple(others))


def _default_key(directory: Path) -> Path:
    path = directory / identity.KEY_FILE
    if not path.exists():
        raise Misuse(
            f"there is no {path} to call with: name a key with --identity FILE or "
            f"${identity.VARIABLE}, or a token with --token-file FILE"
        )
    return path


def _checked(url: str) -> str:
    try:
        Address.parse(url)
    except SettingsError as error:
        raise Misuse(f"--node: {error}") from None
    return url


def _connectable(listen: tuple[str, ...], path: Path) -> list[str]:
    """Return the URLs, at least one, at which the node that listens at *listen* can be reached."""
    urls = []
    for url in listen:
        address = Address.parse(url)
        if address.port != 0:
            here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
            urls.append(str(msgspec.structs.replace(address, host=here)))
    if urls:
        return urls
    raise Failure(
        f"{path} names no URL that the node could be reached at: give the one that "
        f"`alknet serve` printed, with --node URL"
    )


def _read_expected(text: str) -> bytes | str:
    """Return the key, or the fingerprint of the key, that *text* is."""
    if text.startswith("SHA256:"):
        return text.rstrip("=")
    kind, _, digits = text.partition(":")
    try:
        raw = bytes.fromhex(digits) if kind == "ed25519" else parse_ssh_public_line(text)[0]
    except (BadKey, ValueError):
        raw = b""
    if len(raw) != 32:
        raise Misuse(
            "--expect: give a fingerprint (SHA256:...), an OpenSSH public key "
            "(ssh-ed25519 AAAA...) or ed25519: and 64 hex digits"
        )
    return raw
