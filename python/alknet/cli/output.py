"""stdout: the answer, as JSON or as a table, written whole or not at all."""

import json
import os
import select
import stat
import sys
from typing import Annotated, Any, Final

import trio
import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]

_WIDE: Final = 10_000


class ReaderLeft(Exception):
    """Whoever read stdout has closed it, as `head` does when it has seen enough."""


def printable(text: str) -> str:
    """Return *text* on one line and without what a terminal would obey instead of showing."""
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else _escaped(letter)
        for letter in text
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def is_terminal() -> bool:
    """Whether a person reads stdout."""
    return os.isatty(1)


def emit(text: str) -> None:
    """Write *text* and the end of its line to stdout.

    Raises:
        ReaderLeft: nobody reads any more.
    """
    _write(text)


def emit_json(value: Any) -> None:
    """Write *value* as JSON to stdout: on many lines for a person, on one for a program.

    Raises:
        ReaderLeft: nobody reads any more.
    """
    _write(json_text(value, is_ascii=not _is_unicode(), indent=2 if is_terminal() else None))


def emit_line(value: Any) -> None:
    """Write *value* to stdout as one line of JSON, whoever reads.

    Raises:
        ReaderLeft: nobody reads any more.
    """
    _write(json_text(value, is_ascii=not _is_unicode()))


def emit_table(table: Table) -> None:
    """Write *table* to stdout, in colour if a person reads.

    Raises:
        ReaderLeft: nobody reads any more.
    """
    # A program gets each row on one line, however long.
    console = Console(width=None if is_terminal() else _WIDE)
    with console.capture() as captured:
        console.print(table)
    _write("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def plain_table(*titles: str) -> Table:
    """Return an empty table without lines; its first column names what the row is about."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(titles[0], no_wrap=True, style="cyan")
    for title in titles[1:]:
        table.add_column(title)
    return table


async def emit_item(value: Any) -> None:
    """Write *value* as one line of JSON, letting other tasks run while the reader is slow.

    Cancelling may leave the line unfinished.

    Raises:
        ReaderLeft: nobody reads any more.
    """
    await trio.to_thread.run_sync(emit_line, value, abandon_on_cancel=True)


async def reader_left() -> None:
    """Return when whoever reads stdout has closed it, if it is a pipe; else never."""
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        # A pipe that cannot be read is "readable" only when its other end is gone.
        with select.epoll() as watch:
            watch.register(1, 0)
            await trio.lowlevel.wait_readable(watch.fileno())
    else:
        await trio.sleep_forever()


def json_text(value: Any, *, is_ascii: bool = False, indent: int | None = None) -> str:
    """Return *value* as JSON, without controls; on one line, unless it is to be indented."""
    text = json.dumps(
        value,
        ensure_ascii=is_ascii,
        indent=indent,
        separators=None if indent else (",", ":"),
    )
    if text.isprintable():
        return text
    # JSON escapes the controls below 32 itself; a terminal obeys some above 127 too.
    return "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
        for letter in text
    )


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "ascii").lower().replace("-", "") == "utf8"


def _write(text: str) -> None:
    # Straight to the descriptor: Python's buffer has a lock, and a thread that was abandoned in the
    # middle of a write would hold it until the reader, or the interpreter's end, gave up.
    rest = memoryview(f"{text}\n".encode(sys.stdout.encoding or "ascii", "backslashreplace"))
    while rest:
        try:
            rest = rest[os.write(1, rest) :]
        except BlockingIOError:
            select.select([], [1], [])
        except BrokenPipeError:
            raise ReaderLeft from None
