"""What becomes of an error: one sentence on stderr, and the exit code that a script can test."""

import sys
import traceback
from enum import IntEnum
from typing import Annotated, Final

import typer

from alknet.cli.output import ReaderLeft, printable
from alknet.errors import (
    AlknetError,
    Disconnected,
    Forbidden,
    LinkError,
    Locked,
    Refused,
    RefusedForNow,
    RemoteProtocolError,
    Unauthenticated,
    first_of,
)

INTERRUPTED: Final = 130  # what a shell says of a command that SIGINT (2) has ended


class ExitCode(IntEnum):
    """The exit codes of every command."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    NO_CONNECTION = 3
    DENIED = 4
    LOCKED = 5


class Failure(AlknetError):
    """A command cannot do what it was asked; the message is all there is to say."""


class Misuse(Failure):
    """The command line asks for what cannot be; the message says what would do."""


_shows_tracebacks = False


def _show_tracebacks(wanted: bool) -> None:
    global _shows_tracebacks
    _shows_tracebacks = _shows_tracebacks or wanted


Debug = Annotated[
    bool,
    typer.Option(
        "--debug", metavar="", callback=_show_tracebacks, help="Show the traceback of an error."
    ),
]


# The first class that fits decides.
_CODES: Final[tuple[tuple[type[AlknetError], ExitCode], ...]] = (
    (Misuse, ExitCode.USAGE),
    (Locked, ExitCode.LOCKED),
    (Forbidden, ExitCode.DENIED),
    (Unauthenticated, ExitCode.DENIED),
    (RefusedForNow, ExitCode.NO_CONNECTION),
    (Refused, ExitCode.DENIED),
    (LinkError, ExitCode.NO_CONNECTION),
    (Disconnected, ExitCode.NO_CONNECTION),
    (RemoteProtocolError, ExitCode.NO_CONNECTION),
    (AlknetError, ExitCode.FAILED),
)


def report(error: BaseException) -> int:
    """Say on stderr what went wrong, in one sentence, and return the exit code for it."""
    cause = first_of(error)
    if isinstance(cause, SystemExit):
        return cause.code if isinstance(cause.code, int) else ExitCode.FAILED
    if isinstance(cause, ReaderLeft):
        return ExitCode.FINE
    if _shows_tracebacks:
        traceback.print_exception(error)
    if isinstance(cause, KeyboardInterrupt):
        return INTERRUPTED
    sentence, code = _explain(cause)
    if not sentence:
        # `alknet` alone: Typer has shown the help already.
        return code
    print(f"alknet: {printable(sentence)}", file=sys.stderr)  # noqa: T201
    return code


def _explain(error: BaseException) -> tuple[str, int]:
    if isinstance(error, typer.TyperException):
        return _usage_sentence(error), error.exit_code
    if isinstance(error, typer.Abort | EOFError):
        return "there was no answer", ExitCode.FAILED
    for kind, code in _CODES:
        if isinstance(error, kind):
            return str(error) or type(error).__name__, code
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{(error.strerror or str(error)).lower()}{where}", ExitCode.FAILED
    # Only the class: the text of an error that nobody has foreseen could hold a secret.
    kind_of = type(error).__name__
    return f"a fault of alknet itself ({kind_of}); --debug shows where it is", ExitCode.FAILED


def _usage_sentence(error: typer.TyperException) -> str:
    """Return the sentence of a usage error, and the command that tells more."""
    text = error.format_message().rstrip(".").replace("\n", " ")
    if not text:
        return ""
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    return f"{text[:1].lower()}{text[1:]}{hint}"
