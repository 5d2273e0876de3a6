"""Plain JSON values, checked against a JSON Schema (2020-12): payloads of hand-made operations."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from alknet.call.payload import PayloadType, plain
from alknet.errors import InvalidInput
from alknet.wire.link import Format

# What stands in a message where the value would: it may be a secret.
_MASK: Final = "the value"


class SchemaType(PayloadType):
    """Reads payloads as the dicts, lists and strings that JSON has, and checks them.

    Bytes, which msgpack has and JSON has not, become base64 text. The value that is read is the
    reader's own: nobody else holds on to it. An empty schema allows everything.
    """

    __slots__ = ("_check", "_errors")

    def __init__(self, schema: Mapping[str, Any], what: str) -> None:
        """Raise ValueError if *schema* is none; *what* names it in the message."""
        super().__init__(Any)
        validator = _validator(schema, what) if schema else None
        self._check = None if validator is None else validator.is_valid
        self._errors = None if validator is None else validator.iter_errors

    def decode(self, raw: bytes, format: Format) -> Any:
        value = super().decode(raw, format)
        return self._fitting(value) if format == "json" else self.convert(value)

    def convert(self, value: Any) -> Any:
        try:
            value = plain(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"the input does not fit: it is no JSON: {error}") from None
        return self._fitting(value)

    def misfit(self, value: Any) -> InvalidInput | None:
        if self._check is None or self._errors is None:
            return None
        try:
            if self._check(value):
                return None
            errors = sorted(self._errors(value), key=_depth)
        except ValueError as error:  # no JSON: a lone surrogate, say
            return InvalidInput(f"the input does not fit: it is no JSON: {type(error).__name__}")
        return _explained(errors)

    def _fitting(self, value: Any) -> Any:
        error = self.misfit(value)
        if error is not None:
            raise error
        return value


def _explained(errors: list[Any]) -> InvalidInput:
    """Return the error for what does not fit, which says where and what was expected there."""
    if not errors:
        return InvalidInput("the input does not fit: it holds a number that JSON has not")
    first = errors[0]
    field = _place(first)
    where = f"`{field}`: " if field else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InvalidInput(
        f"the input does not fit: {where}{_sentence(first)}{more}", details={"field": field or None}
    )


def _place(error: Any) -> str:
    """Return the path to the field at fault, as `a.b[0].c`; one that is missing or too much too."""
    path: list[str | int] = list(error.instance_path)
    kind = error.kind
    if kind.name == "required":
        path.append(kind.property)
    elif kind.name in ("additionalProperties", "unevaluatedProperties") and kind.unexpected:
        path.append(kind.unexpected[0])
    return _dotted(path)


def _dotted(path: Iterable[str | int]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _sentence(error: Any) -> str:
    kind = error.kind
    if kind.name == "type":
        return f"expected {' or '.join(sorted(kind.types))}"
    if kind.name == "required":
        return "it is required and missing"
    if kind.name in ("additionalProperties", "unevaluatedProperties"):
        return "there is no such field"
    message: str = error.message
    return message


def _depth(error: Any) -> int:
    return len(error.instance_path)


def _validator(schema: Mapping[str, Any], what: str) -> Any:
    # To import it takes longer than most programs that only call need for everything else.
    import jsonschema_rs

    try:
        # Schemas come from elsewhere: they must not be able to make this process read files or
        # fetch pages, or think for hours about a pattern.
        return jsonschema_rs.Draft202012Validator(
            dict(schema),
            retriever=_refuse,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask=_MASK,
        )
    except (ValueError, jsonschema_rs.ValidationError) as error:
        reason = getattr(error, "message", None) or str(error)
        raise ValueError(f"the {what} is no JSON Schema (2020-12): {reason}") from None


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema stands alone, and this one refers to {uri}")
