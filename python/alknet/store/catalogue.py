"""The catalogue: graph types, compiled, so that a record is checked in about a microsecond."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import apsw
import jsonschema_rs
import msgspec

from alknet.errors import Conflict, InvalidInput, NotFound
from alknet.protocol.storage.types import EdgeType, GraphType

MAX_ATTRIBUTE_BYTES: Final = 1 << 20
MAX_PAGE: Final = 1000
_MAX_KEY: Final = 255
_COMPILED_TYPES: Final = 256

_encode: Final = msgspec.json.Encoder().encode


class CompiledType:
    """A graph type with its schemas ready to be asked.

    Raises:
        InvalidInput: the definition contradicts itself, or a schema is none.
    """

    def __init__(self, definition: GraphType) -> None:
        self.definition = definition
        self.nodes = {
            each.name: _validator(f"node type {each.name!r}", each.schema)
            for each in definition.node_types
        }
        self.sealed = frozenset(each.name for each in definition.node_types if each.sealed)
        self.edges: dict[str, EdgeType] = {each.name: each for each in definition.edge_types}
        self._edge_schemas = {
            each.name: _validator(f"edge type {each.name!r}", each.schema)
            for each in definition.edge_types
        }
        if len(self.nodes) < len(definition.node_types) or len(self.edges) < len(
            definition.edge_types
        ):
            raise InvalidInput(f"the graph type {definition.name!r} names a type of its own twice")
        for edge in definition.edge_types:
            for name in (*edge.sources, *edge.targets):
                if name not in self.nodes:
                    raise InvalidInput(
                        f"the edge type {edge.name!r} joins nodes of the type {name!r}, which the "
                        f"graph type {definition.name!r} does not have"
                    )

    def node_attributes(self, type: str, attributes: Mapping[str, Any]) -> str:
        """Return *attributes* of a node as JSON text, having found that they fit.

        Raises:
            InvalidInput: there is no such node type, or they do not fit its schema.
        """
        return _checked(self.nodes, f"node type {type!r}", type, attributes, self.definition.name)

    def edge_attributes(self, type: str, attributes: Mapping[str, Any]) -> str:
        """Return *attributes* of an edge as JSON text, having found that they fit.

        Raises:
            InvalidInput: there is no such edge type, or they do not fit its schema.
        """
        what = f"edge type {type!r}"
        return _checked(self._edge_schemas, what, type, attributes, self.definition.name)

    def check_ends(self, type: str, source: str, target: str, *, undirected: bool) -> None:
        """Refuse an edge of *type* from a node of the type *source* to one of the type *target*.

        Raises:
            InvalidInput: the edge type does not join these.
        """
        edge = self.edges[type]
        if _joins(edge, source, target) or (undirected and _joins(edge, target, source)):
            return
        raise InvalidInput(
            f"an edge of the type {type!r} does not lead from a {source!r} to a {target!r}: it "
            f"leads from {_alternatives(edge.sources)} to {_alternatives(edge.targets)}",
            details={"field": "target"},
        )


class OpenGraph(msgspec.Struct, frozen=True):
    """A graph as it stands in this transaction; new nodes are sealed under `key_version`."""

    id: int
    name: str
    status: str
    key_version: int
    type: CompiledType

    def writable(self) -> "OpenGraph":
        """Return the graph itself, if it can be changed.

        Raises:
            Conflict: it is archived.
        """
        if self.status == "archived":
            raise Conflict(
                f"the graph {self.name!r} is archived: set its status to 'active' to change it"
            )
        return self


class Catalogue:
    """Compiles each definition once, and knows it again by its digest.

    So nothing has to be forgotten when a definition changes, or when the transaction that changed
    it is undone. A catalogue is used by one thread.
    """

    def __init__(self) -> None:
        self._compiled: OrderedDict[bytes, CompiledType] = OrderedDict()

    def graph(self, connection: apsw.Connection, name: str) -> OpenGraph:
        """Return the graph called *name*.

        Raises:
            NotFound: there is none.
        """
        row = connection.execute(
            "select graphs.id, status, key_version, digest, type from graphs "
            "join graph_types on graph_types.name = type where graphs.name = ?",
            (name,),
        ).fetchone()
        if row is None or row[1] == "importing":
            raise missing("graph", name)
        compiled = self._compiled.get(row[3]) or self._load(connection, row[3], row[4])
        return OpenGraph(row[0], name, row[1], row[2], compiled)

    def compile(self, definition: GraphType) -> CompiledType:
        """Return *definition* compiled, and remember it."""
        digest = digest_of(definition)
        compiled = self._compiled.get(digest)
        if compiled is None:
            compiled = CompiledType(definition)
            self._compiled[digest] = compiled
            if len(self._compiled) > _COMPILED_TYPES:
                self._compiled.popitem(last=False)
        return compiled

    def _load(self, connection: apsw.Connection, digest: bytes, name: str) -> CompiledType:
        text = connection.execute("select definition from graph_types where name = ?", (name,)).get
        compiled = self.compile(msgspec.json.decode(text, type=GraphType))
        # The text may have been written by a version that puts the same into other bytes.
        self._compiled[digest] = compiled
        return compiled


def digest_of(definition: GraphType) -> bytes:
    """Return the SHA-256 of *definition* as JSON."""
    return hashlib.sha256(_encode(definition)).digest()


def json_text(value: Any, what: str) -> str:
    """Return *value* as JSON text that reads back as the same value.

    Raises:
        InvalidInput: it is longer than 1 MiB, or holds a number that JSON cannot write.
    """
    encoded = _encode(value)
    if len(encoded) > MAX_ATTRIBUTE_BYTES:
        raise InvalidInput(
            f"{what}: {len(encoded)} bytes of JSON; {MAX_ATTRIBUTE_BYTES} is the most"
        )
    # An infinity or a NaN is written as null, and would come back as that.
    if b"null" in encoded and not _is_finite(value):
        raise InvalidInput(f"{what}: JSON has no way to write NaN or an infinity")
    return encoded.decode()


def checked_key(what: str, key: str) -> str:
    """Return *key*, which is the name of a type or graph, or the key of a record.

    Raises:
        InvalidInput: it is empty or longer than 255 characters.
    """
    if not 0 < len(key) <= _MAX_KEY:
        raise InvalidInput(f"{what} of {len(key)} characters cannot be kept: 1 to {_MAX_KEY} are")
    return key


def missing(what: str, name: str, graph: str | None = None) -> NotFound:
    """Return the error for a record that is not there."""
    place = "" if graph is None else f" in the graph {graph!r}"
    return NotFound(f"there is no {what} {name!r}{place}")


def _validator(what: str, schema: Mapping[str, Any]) -> Any:
    """Return a validator for *schema*; None if it allows everything."""
    if not schema:
        return None
    try:
        # Whoever defines a type must not be able to make this process read files or fetch pages, or
        # think for hours about a pattern; and a value that does not fit is not put into a message.
        return jsonschema_rs.Draft202012Validator(
            dict(schema),
            retriever=_refuse,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask="the value",
        )
    except (ValueError, jsonschema_rs.ValidationError) as error:
        reason = getattr(error, "message", None) or str(error)
        raise InvalidInput(f"the schema of the {what} is none: {reason}") from None


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema stands alone, and this one refers to {uri}")


def _checked(
    schemas: Mapping[str, Any], what: str, type: str, attributes: Mapping[str, Any], owner: str
) -> str:
    try:
        schema = schemas[type]
    except KeyError:
        known = ", ".join(sorted(schemas)) or "none"
        raise InvalidInput(
            f"the graph type {owner!r} has no {what}; it has {known}", details={"field": "type"}
        ) from None
    if schema is not None and not schema.is_valid(attributes):
        error = next(schema.iter_errors(attributes))
        where = "/".join(map(str, error.instance_path))
        raise InvalidInput(
            f"the attributes do not fit the {what}: {error.message}"
            + (f" (at {where!r})" if where else ""),
            details={"field": "attributes" + (f"/{where}" if where else "")},
        )
    return json_text(attributes, "the attributes")


def _joins(edge: EdgeType, source: str, target: str) -> bool:
    return (not edge.sources or source in edge.sources) and (
        not edge.targets or target in edge.targets
    )


def _alternatives(names: tuple[str, ...]) -> str:
    return " or ".join(map(repr, names)) or "anything"


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(_is_finite(each) for each in value.values())
    if isinstance(value, list | tuple):
        return all(_is_finite(each) for each in value)
    return True
