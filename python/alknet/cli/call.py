"""`alknet call` and `alknet watch`: one answer, or all of a stream."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import trio
import typer

from alknet.cli.connection import talks_to_a_node
from alknet.cli.interrupt import cancel_when_asked
from alknet.cli.output import emit_item, emit_json, reader_left
from alknet.cli.target import Target


def _read_input(text: str) -> Any:
    """Return the value that an INPUT argument stands for."""
    try:
        if text == "-":
            raw = sys.stdin.buffer.read()
        elif text.startswith("@"):
            raw = Path(text[1:]).read_bytes()
        else:
            # As the shell gave it: JSON is UTF-8 whatever the locale says.
            raw = os.fsencode(text)
    except OSError as error:
        raise typer.BadParameter(f"cannot read {text}: {(error.strerror or '').lower()}") from None
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"this is not JSON: {error}") from None


OperationPath = Annotated[
    str, typer.Argument(metavar="PATH", help="/node/service/operation, as in /head/services/ping.")
]
Input = Annotated[
    Any,
    typer.Argument(
        metavar="INPUT|-|@FILE",
        parser=_read_input,
        help="The input as JSON; - reads it from stdin, @FILE from FILE.  (default: {})",
        show_default=False,
    ),
]


@talks_to_a_node
async def call(target: Target, path: OperationPath, input: Input = None) -> None:
    """Call an operation of a node, or of a worker through it, and print its output as JSON."""
    async with target.open() as client:
        output = await client.invoke(path, input, timeout=target.timeout)
    emit_json(output)


@talks_to_a_node
async def watch(target: Target, path: OperationPath, input: Input = None) -> None:
    """Subscribe to an operation, and print each item as a line of JSON until the stream ends.

    Ctrl-C, and a reader that goes away, end it too; all three are fine.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_when_asked, nursery.cancel_scope)
        nursery.start_soon(_cancel_when_unread, nursery.cancel_scope)
        async with (
            target.open() as client,
            client.invoke_stream(path, input) as items,
        ):
            async for item in items:
                await emit_item(item)
        nursery.cancel_scope.cancel()


async def _cancel_when_unread(scope: trio.CancelScope) -> None:
    await reader_left()
    scope.cancel(reason="nobody reads the output")
