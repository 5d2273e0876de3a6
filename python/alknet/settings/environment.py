"""What the environment says instead of stack.toml.

A variable is the path of a key, in capitals, its steps parted by two underscores:
`ALKNET__NODE__DRAIN=2.5` is `drain = 2.5` under [node]. Its value is read as TOML has it, and as
plain text where it is no TOML: `ALKNET__NODE__NAME=head-2` and
`ALKNET__NODE__LISTEN=["ws://127.0.0.1:8480"]` are both as one would write them. An array is
replaced whole, a table key by key.
"""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from alknet.errors import SettingsError

PREFIX: Final = "ALKNET__"
_STEP: Final = "__"


class Override(msgspec.Struct, frozen=True):
    """One variable: the keys it stands for, from the top, and its value."""

    variable: str
    keys: tuple[str, ...]
    value: Any


def overrides(environment: Mapping[str, str]) -> tuple[Override, ...]:
    """Return what the variables of *environment* that are ours say, whole tables first.

    Raises:
        SettingsError: the name of one is no path.
    """
    found = []
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        keys = tuple(variable.removeprefix(PREFIX).lower().split(_STEP))
        if not all(keys):
            raise SettingsError(
                f"{variable}: the variable should name a key of stack.toml, step by step, "
                f"as ALKNET__NODE__LISTEN does"
            )
        found.append(Override(variable, keys, _value(text)))
    return tuple(sorted(found, key=lambda each: (len(each.keys), each.keys)))


def merge(tables: Mapping[str, Any], found: Iterable[Override]) -> dict[str, Any]:
    """Return *tables* with what *found* says in place of what they do.

    Raises:
        SettingsError: a variable goes on where there is a value and no table.
    """
    merged = dict(tables)
    for each in found:
        table = merged
        for depth, key in enumerate(each.keys[:-1], start=1):
            inner = table.get(key, {})
            if not isinstance(inner, dict):
                above = ".".join(each.keys[:depth])
                raise SettingsError(
                    f"{each.variable}: {above} is no table with keys of its own: "
                    f"set {PREFIX}{above.upper().replace('.', _STEP)} as a whole"
                )
            # A copy: the tables that were given stay as they are.
            table[key] = table = dict(inner)
        table[each.keys[-1]] = each.value
    return merged


def _value(text: str) -> Any:
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["value"] if read.keys() == {"value"} else text
