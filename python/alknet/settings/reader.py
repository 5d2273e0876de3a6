"""Reading stack.toml: every fault is told with the line and the key that it stands at."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from alknet.errors import AlknetError, SettingsError
from alknet.settings.environment import Override, merge
from alknet.settings.patterns import IN_WORDS


def parse(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of *path* and what it says.

    Raises:
        SettingsError: it cannot be read, or is no TOML; the message says in which line.
    """
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


class Reader:
    """Turns tables into values, and knows where each key was set: a line, or a variable."""

    def __init__(
        self, path: Path, text: str, tables: Mapping[str, Any], set_by: Iterable[Override] = ()
    ) -> None:
        self._path = path
        self._text = text
        self._in_file = tables
        self._set_by = tuple(set_by)
        self._tables = merge(tables, self._set_by)

    def has(self, name: str, key: str) -> bool:
        """Tell whether the table *name* is there and has that *key*."""
        table = self._tables.get(name)
        return isinstance(table, dict) and key in table

    def tables(self, shapes: Mapping[str, type[msgspec.Struct] | None]) -> dict[str, Any]:
        """Return every table as a value of its shape; None allows only an empty one.

        Raises:
            SettingsError: a table is not as it should be, or there is no such table.
        """
        for name in self._tables:
            if name not in shapes:
                raise self._error(
                    (name,), f"there is no table [{name}]{_nearest(name, list(shapes))}"
                )
        return {name: self.table(name, shapes[name]) for name in self._tables}

    def table(self, name: str, shape: type[msgspec.Struct] | None) -> Any:
        """Return the table *name* as a value of *shape*.

        Raises:
            SettingsError: it is not as it should be; the message says where.
        """
        table = self._tables.get(name, {})
        try:
            return msgspec.convert(table, shape or _NoSettings, dec_hook=_decode)
        except msgspec.ValidationError as error:
            keys, problem = _explain(name, str(error), shape)
            words = IN_WORDS.get(problem.removeprefix(_MATCHING).removesuffix("'"))
            if words is not None:
                problem = f"{_value(table, keys[1:])!r} {words}"
            raise self._error(keys, problem) from None
        except AlknetError as error:
            raise self._error((name,), str(error)) from None

    def _error(self, keys: tuple[str | int, ...], problem: str) -> SettingsError:
        return SettingsError(f"{self._where(keys)}: {_spell(keys)}: {problem}")

    def _where(self, keys: tuple[str | int, ...]) -> str:
        names = tuple(key for key in keys if isinstance(key, str))
        for each in reversed(self._set_by):
            is_only_here = names == each.keys[: len(names)] and names[0] not in self._in_file
            if names[: len(each.keys)] == each.keys or is_only_here:
                return each.variable
        return f"{self._path}:{_line(self._text, keys)}"


def _decode(kind: type, value: Any) -> Any:
    """Return a value of a *kind* that TOML does not know."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError


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
    known = _keys_at(shape, tuple(keys[1:]))
    return (*keys, field["name"]), f"there is no such key{_nearest(field['name'], known)}"


def _keys_at(shape: Any, keys: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the table at *keys* within one of *shape* may have, in order."""
    for key in keys:
        for struct in _structs(shape):
            types = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
            if key in types:
                shape = types[str(key)]
    return sorted(
        field.encode_name for struct in _structs(shape) for field in msgspec.structs.fields(struct)
    )


def _structs(shape: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs that a value of *shape*, or an element of it, may be."""
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        yield shape
    else:
        for inner in get_args(shape):
            yield from _structs(inner)


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
