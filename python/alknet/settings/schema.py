"""The JSON Schema of stack.toml, so that an editor can complete its keys and mark its faults.

It is made of the structs that read the file, and what it says about a key are the sentences about
it in their docstrings, so that neither can tell another story than the code does.
"""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = "#/$defs/{name}"
_SENTENCE: Final = re.compile(r"(?<=[.;:])\s+(?=[A-Z`])")
_WORD: Final = re.compile(r"`(\w+)`")


def json_schema(
    shapes: Mapping[str, type[msgspec.Struct] | None],
    instead: Mapping[str, type[msgspec.Struct]],
) -> dict[str, Any]:
    """Return the schema of a file with a table for each of *shapes*; None is an empty table.

    Those named in *instead* may have a table of that shape in place of their own.
    """
    structs = [shape for shape in shapes.values() if shape is not None]
    structs += dict.fromkeys(instead.values())
    references, definitions = msgspec.json.schema_components(
        structs, schema_hook=_schema_of, ref_template=_REFERENCE
    )
    tables = dict(zip(structs, references, strict=True))
    for definition in definitions.values():
        _describe(definition)
    nothing = {"type": "object", "properties": {}, "additionalProperties": False}
    own_tables = {
        name: nothing if shape is None else tables[shape] for name, shape in shapes.items()
    }
    return {
        "$schema": _DIALECT,
        "title": "stack.toml",
        "description": "The settings of an alknet node. A table turns the service of its name on.",
        "type": "object",
        "properties": {
            name: {"anyOf": [own, tables[instead[name]]]} if name in instead else own
            for name, own in own_tables.items()
        },
        "additionalProperties": False,
        "$defs": definitions,
    }


def _schema_of(kind: type) -> dict[str, Any]:
    if issubclass(kind, Path):
        return {"type": "string"}
    raise NotImplementedError


def _describe(definition: dict[str, Any]) -> None:
    """Say of each key what the description of its table says of it."""
    text = inspect.cleandoc(definition.get("description", ""))
    properties: dict[str, Any] = definition.get("properties", {})
    said: dict[str, list[str]] = {}
    about = ""
    for paragraph in text.split("\n\n"):
        # A list of keys, "`key`: what it is", has one a line.
        joined = re.sub(r"\n(?!`)", " ", paragraph)
        for sentence in _SENTENCE.split(joined.replace("\n", " ")):
            named = [word for word in _WORD.findall(sentence) if word in properties]
            for key in named[:1] or ([about] if about else []):
                said.setdefault(key, []).append(sentence)
                about = key
    definition["description"] = text
    for key, sentences in said.items():
        properties[key]["description"] = " ".join(sentences)
    for key, value in properties.items():
        if key not in said:  # told in a sentence that is about another key first
            value["description"] = next(
                (each for told in said.values() for each in told if f"`{key}`" in each), text
            )
