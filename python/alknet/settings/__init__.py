"""stack.toml: read whole, checked whole, and refused with the line and the key at fault.

    [node]                           what this node is called, and where it listens
    [limits]                         what one link may ask of it
    [tls]                            certificates of a public authority
    [secrets] [auth] [config] ...    a table turns the service of that namespace on

A service brings the shape of its own table, so this package knows none of them; but any table may
say `remote` instead, where the service runs. What the
environment says in variables such as `ALKNET__NODE__LISTEN` goes before the file
(`environment.py`), and `schema.py` says all of it as JSON Schema, for editors.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from alknet.errors import InvalidInput
from alknet.settings.environment import overrides
from alknet.settings.patterns import FINGERPRINT, NAME, ORIGIN, TLS_URL, URL
from alknet.settings.reader import Reader, parse
from alknet.settings.schema import json_schema
from alknet.wire.limits import Limits

__all__ = [
    "CertificatePair",
    "JoinSettings",
    "NodeSettings",
    "RemoteSecretsSettings",
    "RemoteSettings",
    "Settings",
    "TlsSettings",
    "load",
    "load_node",
    "schema",
]

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(pattern=NAME)]
Fingerprint = Annotated[str, msgspec.Meta(pattern=FINGERPRINT)]
Origin = Annotated[str, msgspec.Meta(pattern=ORIGIN)]
Url = Annotated[str, msgspec.Meta(pattern=URL)]
TlsUrl = Annotated[str, msgspec.Meta(pattern=TLS_URL)]
Level = Literal["debug", "info", "warning", "error"]


class JoinSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[node.joins]]: a head that this node works for.

    What this node and its own workers answer, that head's callers can call through it. `urls` are
    ways to the head, tried in their order. `expect` is the fingerprint (`SHA256:...`) of the key
    that it must hold; without it, which takes a road with TLS, an authority must vouch for its
    certificate and the name in the URL: one in the PEM file `ca`, or without that file one that
    this machine trusts. `key` is a file with the OpenSSH private key that we prove ourselves with
    there; without it, that is the key of this node's own identity. A relative path begins beside
    the settings. `grant` are the scopes of which its callers can have any here: each may do what
    both the head and `grant` let it.
    """

    urls: Annotated[tuple[Url, ...], msgspec.Meta(min_length=1)]
    expect: Fingerprint | None = None
    key: Path | None = None
    ca: Path | None = None
    grant: frozenset[str] = frozenset({"*"})

    def __post_init__(self) -> None:
        open_to_all = [url for url in self.urls if not re.match(TLS_URL, url)]
        if self.expect is None and open_to_all:
            raise InvalidInput(
                f"whoever answers at {open_to_all[0]} would be our head: name the fingerprint that "
                f"it must have (`expect`), or use tls://, quic:// or wss://"
            )


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [node].

    `name` is what paths call this node, beside `head`. `listen` holds the URLs it answers at; port
    0 takes a free one. `drain` is how many seconds calls in flight may take when it stops.
    `identity` is the fingerprint (`SHA256:...`) of the key that its phrase gives it; a phrase that
    gives another is refused. `log` is the least level that is logged. `slow` is how many seconds a
    handler that keeps its service from others may take before the log says so; 0 means never.
    `watch` is how often, in seconds, this file and the `authorized_keys` in it are looked at, to be
    reloaded when one has changed; 0 means never, and SIGHUP does it too. A node that is `strict`
    fails a call whose answer is not what the operation promises: for tests. `origins` are those of
    web pages (`https://app.example`) that may call; `*` lets any. `joins` are the heads that this
    node works for.
    """

    name: Name = "head"
    listen: tuple[Url, ...] = ()
    drain: Seconds = 5.0
    identity: Fingerprint | None = None
    log: Level = "info"
    slow: Seconds = 5.0
    watch: Seconds = 0.0
    strict: bool = False
    origins: tuple[Origin, ...] = ()
    joins: tuple[JoinSettings, ...] = ()


class CertificatePair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two PEM files, as an authority gives them out.

    `chain` has the own certificate first, and `key` is its private key. A relative path begins
    beside the settings.
    """

    chain: Path
    key: Path


class TlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [tls], for what is listened at with tls://, quic:// and wss://.

    `certificates` are those of a public authority; a caller who asks for a name that is in none of
    them gets the node's own, which needs no table. With `client_certificates`, who shows none of
    his own is refused.
    """

    certificates: tuple[CertificatePair, ...] = ()
    client_certificates: bool = False


class RemoteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table of a service that another node runs.

    `remote` is the URL of that node: tls://, quic:// or wss://. `expect` is the fingerprint
    (`SHA256:...`) of the key that it must hold; without it, an authority must vouch for its
    certificate and the name in the URL: one in the PEM file `ca`, or without that file one that
    this machine trusts.
    `key` is a file with the OpenSSH private key that we prove ourselves with there; without it,
    that is the key of this node's own identity. A relative path begins beside the settings.
    """

    remote: TlsUrl
    expect: Fingerprint | None = None
    key: Path | None = None
    ca: Path | None = None


class RemoteSecretsSettings(RemoteSettings, frozen=True, forbid_unknown_fields=True):
    """The table [secrets] where another node answers for the seed, and this one has its own key.

    `remote`, `expect`, `key` and `ca` are as for any service. `remote_unlock` and `share_seconds`
    are about unlocking this node, as where it answers itself.

    What the other node has derived is kept for `cache_seconds`: up to `cache_entries` public keys
    (0 keeps none), for the caller that asked. They are dropped when that node is locked, when it
    does not let us in any more, and when there is no link to it for `cache_away` seconds.
    """

    remote_unlock: bool = False
    share_seconds: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 600.0
    cache_seconds: Seconds = 3600.0
    cache_entries: Annotated[int, msgspec.Meta(ge=0)] = 1024
    cache_away: Seconds = 10.0


# What a table may say beside where its service runs, where it has more to say.
_REMOTE: Final[dict[str, type[RemoteSettings]]] = {"secrets": RemoteSecretsSettings}


class Settings(msgspec.Struct, frozen=True):
    """A whole stack.toml. `services` holds the table of each service that is turned on.

    That of a service which another node runs is a RemoteSettings.

    `path` is the file, and None for settings made in Python.
    """

    node: NodeSettings = NodeSettings()
    limits: Limits = Limits()
    tls: TlsSettings = TlsSettings()
    services: Mapping[str, Any] = {}
    path: Path | None = None


_OWN: Final[dict[str, type[msgspec.Struct]]] = {
    "node": NodeSettings,
    "limits": Limits,
    "tls": TlsSettings,
}


def load(
    path: Path,
    shapes: Mapping[str, type[msgspec.Struct] | None],
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings that *path* holds, with what *environment* has instead.

    *shapes* gives, for each service there is, the shape of its table; None allows only an empty
    one.

    Raises:
        SettingsError: the file cannot be read, or something in it is not as it should be; the
            message begins with `file:line:`, or with the name of the variable at fault.
    """
    reader = _read(path, environment)
    services_as_told = {
        name: _remote(name) if reader.has(name, "remote") and not _has_remote(shape) else shape
        for name, shape in shapes.items()
    }
    read = reader.tables({**_OWN, **services_as_told})
    services = {name: value for name, value in read.items() if name not in _OWN}
    return Settings(
        node=read.get("node", NodeSettings()),
        limits=read.get("limits", Limits()),
        tls=read.get("tls", TlsSettings()),
        services=services,
        path=path,
    )


def load_node(path: Path, environment: Mapping[str, str] = os.environ) -> NodeSettings:
    """Return the table [node] of *path*, for somebody who runs none of the services.

    Raises:
        SettingsError: as `load`, but for the other tables, which are not looked at.
    """
    node: NodeSettings = _read(path, environment).table("node", NodeSettings)
    return node


def schema(shapes: Mapping[str, type[msgspec.Struct] | None]) -> dict[str, Any]:
    """Return the JSON Schema of a stack.toml in which services have tables of *shapes*."""
    elsewhere = {name: _remote(name) for name, shape in shapes.items() if not _has_remote(shape)}
    return json_schema({**_OWN, **shapes}, elsewhere)


def _remote(service: str) -> type[RemoteSettings]:
    """Return the shape of the table of a service that another node runs."""
    return _REMOTE.get(service, RemoteSettings)


def _has_remote(shape: type[msgspec.Struct] | None) -> bool:
    """Tell whether a service sees for itself to what `remote` in its table means."""
    return shape is not None and "remote" in shape.__struct_fields__


def _read(path: Path, environment: Mapping[str, str]) -> Reader:
    return Reader(path, *parse(path), overrides(environment))
