"""`alknet doctor`: what on this machine could trouble a node, and how to mend it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from alknet.cli.doctor.finding import State
from alknet.cli.failure import Debug, ExitCode
from alknet.cli.output import AsJson, emit_json, emit_table, plain_table, printable
from alknet.cli.target import CONFIG

_COLOURS = {State.FINE: "green", State.WARNING: "yellow", State.BAD: "red"}


def doctor(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The node's settings.")
    ] = CONFIG,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Look at the clock, ports, files, certificates, disk, memory and nodes that a node depends on.

    Changes nothing, and says of each thing that is not as it should be how to mend it. Run it as
    the user that the node runs as. Exit code 1 if the node would not start, or would not be safe.
    """
    # Every command loads this file, and only this one needs what is looked at.
    from alknet.cli.doctor.examination import examine

    found = examine(config)
    if as_json:
        emit_json([
            {"check": each.check, "state": each.state, "what": each.what, "mend": each.mend}
            for each in found
        ])  # fmt: skip
    else:
        table = plain_table("check", "state", "what was found, and how to mend it")
        for each in found:
            what = f"{each.what}: {each.mend}" if each.mend else each.what
            state = Text(each.state, style=_COLOURS[each.state])
            table.add_row(each.check, state, Text(printable(what)))
        emit_table(table)
    if any(each.state is State.BAD for each in found):
        raise typer.Exit(ExitCode.FAILED)
