"""The commands, and the one place where a failure becomes a sentence and an exit code."""

import contextlib
import os
import sys
from inspect import cleandoc
from typing import Annotated, NoReturn

import typer

from alknet import __version__
from alknet.cli import failure
from alknet.cli.backup import backup, restore
from alknet.cli.call import call, watch
from alknet.cli.demo import demo
from alknet.cli.directory import schema, services
from alknet.cli.doctor import doctor
from alknet.cli.failure import Debug
from alknet.cli.forward import forward, socks
from alknet.cli.init import init
from alknet.cli.rotate import rotate
from alknet.cli.serve import serve
from alknet.cli.shares import shares_app
from alknet.cli.vault import lock, status, unlock


def _paragraphs(text: str | None) -> str:
    """Return a docstring with each paragraph on one line, for the terminal to break."""
    return "\n\n".join(" ".join(each.split()) for each in cleandoc(text or "").split("\n\n"))


app = typer.Typer(
    name="alknet",
    help="One seed phrase becomes a running node.",
    epilog="Exit codes: 0 fine, 1 failed, 2 usage, 3 no connection, 4 denied, 5 locked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    init, serve, unlock, lock, status, call, watch, services, schema, demo, backup, restore,
    rotate, doctor, forward, socks,
):  # fmt: skip
    app.command(help=_paragraphs(_command.__doc__))(_command)
app.add_typer(shares_app, name="shares")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alknet {__version__}")
        raise typer.Exit


@app.callback()
def _alknet(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_show_version, is_eager=True, help="Say which it is."
        ),
    ] = False,
    debug: Debug = False,
) -> None: ...


def main() -> NoReturn:
    """Run the command that `sys.argv` names, and exit with its code."""
    _occupy_standard_descriptors()
    try:
        code = app(prog_name="alknet", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:
        code = failure.report(error)
    _leave_stdout()
    sys.exit(code or 0)


def _occupy_standard_descriptors() -> None:
    """Open what the caller has closed, so that no socket of ours becomes "standard output"."""
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        # A terminal that cannot show a letter shows its code; that is no reason to fail.
        stream.reconfigure(errors="backslashreplace")


def _leave_stdout() -> None:
    """Let the interpreter find nothing to flush at its end where nobody reads."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
