"""stack.toml: read whole, checked whole, and refused with the line and the key at fault.

    [node]                           what this node is called, and where it listens
    [limits]                         what one link may ask of it
    [tls]                            certificates of a public authority
    [secrets] [auth] [config] ...    a table turns the service of that namespace on

A service brings the shape of its own table, so this module knows none of them.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from alknet.errors import AlknetError, SettingsError
from alknet.wire.limits import Limits

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_FINGERPRINT: Final = r"^SHA256:[A-Za-z0-9+/]{43}$"
_URL: Final = r"^(ws|wss|tcp|tls)://[^/]+$"
# RFC 6454, section 6.2: no path, not even a slash.
_ORIGIN: Final = r"^(\*|[a-z][a-z0-9+.-]*://[^/]+)$"
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Name = Annotated[str, msgspec.Meta(pattern=_NAME)]
Fingerprint = Annotated[str, msgspec.Meta(pattern=_FINGERPRINT)]
Url = Annotated[str, msgspec.Meta(pattern=_URL)]
Origin = Annotated[str, msgspec.Meta(pattern=_ORIGIN)]
# What the patterns ask for, in words; a value that is meant to be one of these is no secret.
_IN_WORDS: Final = {
    _NAME: "should be up to 63 letters, digits, '.', '_' and '-', and begin with one of the first",
    _FINGERPRINT: "should read SHA256: and 43 characters, as `alknet status` prints it",
    _ORIGIN: "should read https://host, with a port if it is not the usual one and no path, or *",
    _URL: "should read ws://host:port, wss://, tcp:// or tls://",
}
Level = Literal["debug", "info", "warning", "error"]
S = TypeVar("S")


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [node].

    `name` is what paths call this node, beside `head`. `listen` holds the URLs it answers at; port
    0 takes a free one. `drain` is how many seconds calls in flight may take when it stops.
    `identity` is the fingerprint (`SHA256:...`) of the key that its phrase gives it; a phrase that
    gives another is refused. `log` is the least level that is logged. `slow` is how many seconds a
    handler that keeps its service from others may take before the log says so; 0 means never. A
    node that is `strict` fails a call whose answer is not what the operation promises: for tests.
    `origins` are those of web pages (`https://app.example`) that may call; `*` lets any.
    """

    name: Name = "head"
    listen: tuple[Url, ...] = ()
    drain: Seconds = 5.0
    identity: Fingerprint | None = None
    log: Level = "info"
    slow: Seconds = 5.0
    strict: bool = False
    origins: tuple[Origin, ...] = ()


class CertificatePair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two PEM files: a chain, the own certificate first, and its private key.

    A relative path begins beside the settings.
    """

    chain: Path
    key: Path


class TlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [tls], for what is listened at with tls:// and wss://.

    `certificates` are those of a public authority; a caller who asks for a name that is in none of
    them gets the node's own, which needs no table. With `client_certificates`, who shows none of
    his own is refused.
    """

    certificates: tuple[CertificatePair, ...] = ()
    client_certificates: bool = False


class Settings(msgspec.Struct, frozen=True):
    """A whole stack.toml. `services` holds the table of each service that is turned on.

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


def load(path: Path, shapes: Mapping[str, type[msgspec.Struct] | None]) -> Settings:
    """Return the settings that *path* holds.

    *shapes* gives, for each service there is, the shape of its table; None allows only an empty
    one.

    Raises:
        SettingsError: the file cannot be read, or something in it is not as it should be; the
            message begins with `file:line:`.
    """
    text, tables = _parse(path)
    reader = _Reader(path, text)
    read: dict[str, Any] = {}
    for name, table in tables.items():
        if name not in _OWN and name not in shapes:
            known = [*_OWN, *shapes]
            raise reader.error((name,), f"there is no table [{name}]{_nearest(name, known)}")
        read[name] = reader.convert(name, table, _OWN.get(name) or shapes.get(name))
    services = {name: value for name, value in read.items() if name not in _OWN}
    return Settings(
        node=read.get("node", NodeSettings()),
        limits=read.get("limits", Limits()),
        tls=read.get("tls", TlsSettings()),
        services=services,
        path=path,
    )


def load_node(path: Path) -> NodeSettings:
    """Return the table [node] of *path*, for somebody who runs none of the services.

    Raises:
        SettingsError: as `load`, but for the other tables, which are not looked at.
    """
    text, tables = _parse(path)
    node: NodeSettings = _Reader(path, text).convert("node", tables.get("node", {}), NodeSettings)
    return node


def _parse(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"cannot read {path}: {reason}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text, as TOML is: {error.reason}") from None
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        found = _LINE.match(where)
        line = found["line"] if found else len(text.splitlines()) or 1
        raise SettingsError(f"{path}:{line}: {what[:1].lower()}{what[1:]}") from None


# tomllib says "(at line 3, column 7)", or "(at end of document)".
_LINE: Final = re.compile(r"line (?P<line>\d+),")


class _NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Reader:
    """Turns tables into values, and knows the line that each key stands on."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    def convert(self, name: str, table: Any, shape: type[msgspec.Struct] | None) -> Any:
        try:
            return msgspec.convert(table, shape or _NoSettings)
        except msgspec.ValidationError as error:
            keys, problem = _explain(name, str(error), shape)
            words = _IN_WORDS.get(problem.removeprefix(_MATCHING).removesuffix("'"))
            if words is not None:
                problem = f"{_value(table, keys[1:])!r} {words}"
            raise self.error(keys, problem) from None
        except AlknetError as error:
            raise self.error((name,), str(error)) from None

    def error(self, keys: tuple[str | int, ...], problem: str) -> SettingsError:
        line = _line(self._text, keys)
        return SettingsError(f"{self._path}:{line}: {_spell(keys)}: {problem}")


_MATCHING: Final = "expected `str` matching regex '"
_WHERE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+)\]")
_FIELD: Final = re.compile(r"(?P<kind>unknown|required) field `(?P<name>[^`]*)`")


def _explain(
    table: str, message: str, shape: type[msgspec.Struct] | None
) -> tuple[tuple[str | int, ...], str]:
    """Return where a value does not fit, as keys from the top, and what is wrong with it."""
    found = _WHERE.match(message)
    what, where = (found["what"], found["where"] or "") if found else (message, "")
    keys: list[str | int] = [table]
    for step in _STEP.finditer(where):
        keys.append(step["key"] if step["key"] is not None else int(step["index"]))
    field = _FIELD.search(what)
    if field is None:
        return tuple(keys), what[:1].lower() + what[1:]
    if field["kind"] == "required":
        return tuple(keys), f"`{field['name']}` is missing"
    known = sorted(_field_names(shape)) if shape is not None else []
    return (*keys, field["name"]), f"there is no such key{_nearest(field['name'], known)}"


def _field_names(shape: Any) -> Iterator[str]:
    """Yield the name of every field of *shape* and of the structs within it."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        for field in msgspec.structs.fields(shape):
            yield field.encode_name
            yield from _field_names(field.type)
    else:
        for inner in getattr(shape, "__args__", ()):
            yield from _field_names(inner)


def _value(table: Any, keys: tuple[str | int, ...]) -> Any:
    for key in keys:
        table = table[key]
    return table


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; there are {', '.join(f'`{each}`' for each in known)}" if known else ""


def _spell(keys: tuple[str | int, ...]) -> str:
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


_HEADER: Final = re.compile(r"^\s*(?P<open>\[\[?)\s*(?P<name>[^\]]+?)\s*\]")


def _line(text: str, keys: tuple[str | int, ...]) -> int:
    """Return the line of *text* that the value at *keys* stands on, or the nearest one above it.

    TOML's own reader tells no positions, so this follows the headers and looks for the key.
    """
    names = [key for key in keys if isinstance(key, str)]
    wanted = [key for key in keys if isinstance(key, int)]
    seen: dict[str, int] = {}
    best, best_depth = 1, 0
    inside: list[str] = []
    matches = True
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            name = header["name"].replace(" ", "").replace('"', "")
            inside = name.split(".")
            if header["open"] == "[[":
                seen[name] = seen.get(name, -1) + 1
                matches = not wanted or seen[name] == wanted[0]
            elif inside[: len(inside) - 1] == []:
                matches = True
            depth = len(inside)
            if matches and names[:depth] == inside and depth > best_depth:
                best, best_depth = number, depth
        elif matches and names[: len(inside)] == inside and len(names) > len(inside):
            key = line.split("=", 1)[0].strip().strip('"')
            parts = key.split(".") if "=" in line else []
            depth = len(inside) + len(parts)
            if parts and names[len(inside) : depth] == parts and depth > best_depth:
                best, best_depth = number, depth
    return best
