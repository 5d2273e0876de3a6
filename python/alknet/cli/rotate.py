"""`alknet rotate`: the sealed nodes of a graph, sealed anew under a later key."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from alknet.cli.connection import talks_to_a_node
from alknet.cli.failure import Failure
from alknet.cli.output import AsJson, emit, emit_json, printable
from alknet.cli.target import Target

if TYPE_CHECKING:
    from alknet.protocol.storage import Rotation

ToVersion = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        help="The key version to seal under.  (default: finish the last rotation, or the next one)",
    ),
]


@talks_to_a_node
async def rotate(
    target: Target,
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="The graph.")],
    to_version: ToVersion = None,
    as_json: AsJson = False,
) -> None:
    """Seal the sealed nodes of a graph anew, under a later key; the node goes on meanwhile.

    What has been done stays done: a rotation that was interrupted, by Ctrl-C or by anything else,
    goes on with the rest when it is asked for again.
    """
    # Every command loads this file, and only this one needs to know of graphs.
    from alknet.protocol.storage import RotateGraph

    state: Rotation | None = None
    with _progress() as progress:
        bar = progress.add_task("connecting", total=None)
        async with (
            target.open() as client,
            client.stream(RotateGraph(graph, to_version)) as states,
        ):
            async for state in states:
                progress.update(
                    bar,
                    description=f"{printable(graph)} to key version {state.to_version}",
                    total=state.total,
                    completed=state.done + state.failed,
                )
    if state is None:
        raise Failure(f"the node said nothing of a rotation of {graph!r}: ask it again")
    if as_json:
        emit_json(msgspec.to_builtins(state))
    else:
        emit(f"{state.done} of {state.total} nodes are sealed under key version {state.to_version}")
    if state.failed:
        listed = ", ".join(state.failed_keys) + (", ..." if state.failed > 10 else "")
        raise Failure(
            f"{state.failed} nodes do not open and were left as they are: {listed}; another "
            f"tenant's vault sealed them, or they have been altered"
        )


def _progress() -> Progress:
    """Return a bar on stderr, which shows where a person can see it."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
