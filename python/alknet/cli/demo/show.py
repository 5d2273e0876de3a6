"""The demo's table: a row for each step, as it happens if a person watches."""

import signal
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

import trio
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alknet import logs
from alknet.cli.demo.steps import STEPS, Step, Unexpected, checks_made
from alknet.cli.demo.world import World, open_world
from alknet.cli.failure import Failure
from alknet.cli.output import emit, emit_table, is_terminal, printable
from alknet.errors import AlknetError, first_of
from alknet.runtime.background import open_background

_STEP_SECONDS: Final = 30.0


def run() -> None:
    """Run every step, and show each; a signal that ends it leaves nothing behind either.

    Raises:
        Failure: a step found something else than it expected; the message says which, and what.
    """
    logs.configure(level="critical")
    number = trio.run(_run)
    if number is not None:
        # Whoever sent it sees that it has worked.
        signal.raise_signal(number)


async def _run() -> int | None:
    """Show the steps until they end or a signal comes; return which did."""
    async with open_background() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
            told = _Told()
            nursery.start_soon(told.listen, signals)
            with told.scope:
                await show(STEPS)
    return told.number


class _Told:
    """Cancels its scope when a signal comes, and remembers which."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.number: int | None = None

    async def listen(self, signals: AsyncIterator[int]) -> None:
        self.number = await anext(signals)
        self.scope.cancel(reason="told to stop")


async def show(steps: Sequence[Step]) -> None:
    """Take *steps* in a world of their own, and show a row for each.

    Raises:
        Failure: a step found something else than it expected; the message says which, and what.
    """
    begun = time.perf_counter()
    table = _table()
    if is_terminal():
        with Live(table, auto_refresh=False) as live:
            await _take_all(steps, table, live)
    else:
        try:
            await _take_all(steps, table, None)
        finally:
            emit_table(table)
    seconds = time.perf_counter() - begun
    emit(
        f"\n{len(steps)} steps in {seconds:.1f} s; {checks_made()} answers, each checked against "
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


async def _take_all(steps: Sequence[Step], table: Table, live: Live | None) -> None:
    async with open_world() as world:
        for number, step in enumerate(steps, start=1):
            await _take(number, step, world, table)
            if live is not None:
                live.refresh()


async def _take(number: int, step: Step, world: World, table: Table) -> None:
    """Take one step, and add its row.

    Raises:
        Failure: it did not go as it should.
    """
    begun, checked = time.perf_counter(), checks_made()
    problem, came_back = None, ""
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
