"""The demo's table: a row for each step, as it happens if a person watches."""

import time
from typing import Final

import trio
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alknet.cli import logs
from alknet.cli.demo.steps import STEPS, Step, Unexpected, checks_made
from alknet.cli.demo.world import World, open_world
from alknet.cli.failure import Failure
from alknet.cli.output import emit, emit_table, is_terminal, printable
from alknet.errors import AlknetError, first_of

_STEP_SECONDS: Final = 30.0


def run() -> None:
    """Run every step, and show each.

    Raises:
        Failure: a step found something else than it expected; the message says which, and what.
    """
    logs.configure(level="critical")
    trio.run(_run)


async def _run() -> None:
    begun = time.perf_counter()
    table = _table()
    if is_terminal():
        with Live(table, auto_refresh=False) as live:
            await _take_all(table, live)
    else:
        try:
            await _take_all(table, None)
        finally:
            emit_table(table)
    seconds = time.perf_counter() - begun
    emit(
        f"\n{len(STEPS)} steps in {seconds:.1f} s; {checks_made()} answers, each checked against "
        f"what it had to be."
    )
    emit("A node of your own:  alknet init my-node && alknet serve --config my-node/stack.toml")


def _table() -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", justify="right", style="dim")
    table.add_column("who", style="cyan")
    table.add_column("what happens")
    table.add_column("what came back", style="green")
    table.add_column("ms", justify="right", style="dim")
    return table


async def _take_all(table: Table, live: Live | None) -> None:
    async with open_world() as world:
        for number, step in enumerate(STEPS, start=1):
            await _take(number, step, world, table)
            if live is not None:
                live.refresh()


async def _take(number: int, step: Step, world: World, table: Table) -> None:
    """Take one step, and add its row.

    Raises:
        Failure: it did not go as it should.
    """
    begun, checked = time.perf_counter(), checks_made()
    problem = None
    try:
        with trio.fail_after(_STEP_SECONDS):
            came_back = await step.act(world)
        if checks_made() == checked:
            problem = "it checked nothing"
    except* trio.TooSlowError:
        problem = f"nothing came back within {_STEP_SECONDS:g} s"
    except* (Unexpected, AlknetError) as group:
        problem = str(first_of(group))
    milliseconds = (time.perf_counter() - begun) * 1000
    shown = Text(printable(came_back)) if problem is None else Text("FAILED", style="bold red")
    table.add_row(str(number), step.who, step.title, shown, f"{milliseconds:.1f}")
    if problem is not None:
        raise Failure(f"step {number}, {step.title!r}: {problem}")
