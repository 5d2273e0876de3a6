"""Errors: one tree, and the same error near and far."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alknet import Request, errors, operation
from alknet.errors import (
    AlknetError,
    BadPath,
    CallError,
    Disconnected,
    FrameTooLarge,
    InvalidInput,
    MalformedEnvelope,
    Unavailable,
    first_of,
    from_wire,
    traced,
)

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, AlknetError) and not name.startswith("_")
}
CALL_ERRORS = [
    each
    for each in CLASSES.values()
    if issubclass(each, CallError) and each not in (CallError, errors.UnknownCode)
]


def test_the_tree_that_is_drawn_is_the_tree_that_there_is():
    drawn, above = {}, []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^    (?P<indent>[│ ├└─]*)(?P<name>[A-Z]\w+)( |$)", line)
        if found:
            depth = len(found["indent"]) // 4
            del above[depth:]
            drawn[found["name"]] = above[-1] if above else None
            above.append(found["name"])
    there_is = {
        name: next((base.__name__ for base in value.__mro__[1:] if base.__name__ in CLASSES), None)
        for name, value in CLASSES.items()
    }

    assert drawn == there_is


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_every_error_says_what_it_means(error):
    assert error.__doc__


@pytest.mark.parametrize("error", CALL_ERRORS, ids=lambda each: each.__name__)
def test_every_error_arrives_as_itself_or_as_what_it_is_a_kind_of(error):
    sent = error("what went wrong", details={"a": 1})
    arrived = from_wire(sent.code, sent.message, retryable=sent.retryable, details=sent.details)

    assert isinstance(sent, type(arrived))
    assert arrived.code == sent.code
    assert str(arrived) == "what went wrong"
    assert arrived.details == {"a": 1}
    assert arrived.retryable == sent.retryable


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("NOT_FOUND", errors.NotFound),
        ("FORBIDDEN", errors.Forbidden),
        ("UNAUTHENTICATED", errors.Unauthenticated),
        ("INVALID_INPUT", errors.InvalidInput),
        ("INVALID_OPERATION_TYPE", errors.InvalidOperationType),
        ("LOCKED", errors.Locked),
        ("TIMEOUT", errors.DeadlineExceeded),
        ("ABORTED", errors.Aborted),
        ("UNAVAILABLE", errors.Unavailable),
        ("SLOW_CONSUMER", errors.SlowConsumer),
        ("RATE_LIMITED", errors.RateLimited),
        ("INTERNAL", errors.Internal),
    ],
)
def test_the_codes_of_the_wire_have_their_classes(code, kind):
    assert type(from_wire(code, "words")) is kind


@given(st.text(), st.text(), st.booleans())
def test_a_code_that_nobody_has_declared_is_internal_and_never_retryable(code, message, retryable):
    assume(code not in {each.code for each in CALL_ERRORS} | errors._declared)
    error = from_wire(code, message, retryable=retryable, details={"a": 1})

    assert isinstance(error, errors.Internal)
    assert (error.code, error.message, error.retryable) == ("INTERNAL", message, False)
    assert error.details == {"a": 1}
    assert (error.sent.code, error.sent.retryable) == (code, retryable), "for who passes it on"


@pytest.mark.parametrize("retryable", [True, False])
def test_a_code_that_an_operation_has_declared_stays_as_it_was_sent(retryable):
    @operation("oven/bake", errors=("OVEN_COLD",))
    class Bake(Request[None], frozen=True):
        """Bake."""

    error = from_wire("OVEN_COLD", "wait", retryable=retryable, details={"minutes": 4})

    assert type(error) is CallError
    assert (error.code, error.message, error.retryable) == ("OVEN_COLD", "wait", retryable)
    assert error.details == {"minutes": 4}


def test_what_one_error_is_told_no_other_knows():
    InvalidInput("one", details={"a": 1}, retryable=True, code="OTHER")
    plain = InvalidInput("two")

    assert (plain.details, plain.retryable, plain.code) == (None, False, "INVALID_INPUT")


def test_errors_are_also_what_python_programs_expect():
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(BadPath, InvalidInput)
    assert issubclass(errors.DeadlineExceeded, TimeoutError)
    assert issubclass(Disconnected, Unavailable)
    assert not Disconnected("x").retryable
    assert Unavailable("x").retryable


def test_an_error_without_words_has_an_empty_message():
    assert CallError().message == ""


def test_errors_with_numbers_write_their_own_sentence():
    assert str(FrameTooLarge(20, 10)) == (
        "the peer announced a frame of 20 bytes and the limit is 10 "
        "(raise `frame_bytes` under [limits] in stack.toml on both sides)"
    )
    assert str(MalformedEnvelope("expected a map", 7)) == (
        "malformed envelope at byte 7: expected a map"
    )


def test_the_first_error_of_a_group_of_groups_is_found():
    inner = KeyError("k")

    assert first_of(inner) is inner
    assert first_of(ExceptionGroup("a", [ExceptionGroup("b", [inner]), ValueError()])) is inner


def test_a_traceback_for_the_log_shows_lines_of_code_and_no_values():
    def derive(phrase):
        raise RuntimeError(f"no disk for {len(phrase)} letters")

    try:
        derive("hunter2")
    except RuntimeError as error:
        text = traced(error)

    assert "RuntimeError: no disk for 7 letters" in text
    assert 'raise RuntimeError(f"no disk' in text
    assert text.count("hunter2") == 1, "only where the source itself says it"


def test_no_log_line_of_ours_shows_local_variables():
    """Logging libraries print them with a traceback; ours hold requests. `traced` does not."""
    for path in Path(errors.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                keywords = {keyword.arg for keyword in node.keywords}
                assert "exc_info" not in keywords, f"{path}:{node.lineno}"
                is_log = isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
                assert not (is_log and node.func.attr == "exception"), f"{path}:{node.lineno}"
