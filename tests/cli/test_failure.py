"""Every error becomes one sentence and one of six exit codes."""

import pytest
import trio
import typer
from hypothesis import given
from hypothesis import strategies as st

from alknet import errors
from alknet.cli.failure import Failure, Misuse, report
from alknet.cli.output import ReaderLeft, printable

from .. import orphans

ALL = sorted(
    {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.AlknetError)
    },
    key=lambda kind: kind.__name__,
)
CODES = {
    "Disconnected": 3,
    "Forbidden": 4,
    "FrameTooLarge": 3,
    "LinkError": 3,
    "Locked": 5,
    "MalformedEnvelope": 3,
    "Refused": 4,
    "RefusedForNow": 3,
    "RemoteProtocolError": 3,
    "Unauthenticated": 4,
    "Unreachable": 3,
}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_each_error_has_its_exit_code(kind, capsys):
    given = {
        errors.FrameTooLarge: (70_000, 65_536),
        errors.UnknownCode: (errors.CallError("so it is", code="ODD"),),
    }
    error = kind(*given.get(kind, ("so it is",)))

    code = report(error)

    said = capsys.readouterr()
    assert code == CODES.get(kind.__name__, 1)
    assert said.err.startswith("alknet: ")
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Failure("there is none"), 1, "alknet: there is none\n"),
        (Misuse("name one"), 2, "alknet: name one\n"),
        (typer.BadParameter("no"), 2, "alknet: invalid value: no\n"),
        (typer.Abort(), 1, "alknet: there was no answer\n"),
        (errors.Locked(), 5, "alknet: Locked\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "alknet: permission denied: /x\n"),
        (ReaderLeft(), 0, ""),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(7), 7, ""),
        (
            ValueError("the phrase is hunter2"),
            1,
            "alknet: a fault of alknet itself (ValueError); --debug shows where it is\n",
        ),
        (Failure("two\nlines \x1b[2J"), 1, "alknet: two lines \\x1b[2J\n"),
    ],
    ids=repr,
)
def test_what_is_said_and_returned(error, code, said, capsys):
    assert report(error) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("error", "code"), [(errors.Locked("it is"), 5), (KeyboardInterrupt(), 130)], ids=repr
)
def test_an_error_is_found_however_deep_it_is_wrapped(error, code, capsys):
    async def fail():
        async with trio.open_nursery():
            async with trio.open_nursery():
                raise error

    with pytest.raises(BaseExceptionGroup) as caught:
        orphans.run(fail)

    assert report(caught.value) == code


@given(st.text())
def test_what_is_printed_is_one_line_that_a_terminal_only_shows(text):
    assert printable(text).isprintable()


@given(st.text(st.characters(categories=["L", "N", "P"])))
def test_words_are_printed_as_they_are(text):
    assert printable(text) == text
