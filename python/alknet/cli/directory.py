"""`alknet services` and `alknet schema`: what can be called, and how."""

from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from alknet.call.client import Client
from alknet.cli.connection import talks_to_a_node
from alknet.cli.output import AsJson, emit_json, emit_table, printable
from alknet.cli.target import Target
from alknet.protocol.directory import ListOperations, ListPeers, Schema


@talks_to_a_node
async def services(
    target: Target,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers", metavar="", help="List the connected peers and what they offer instead."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the operations of a node that you may call."""
    async with target.open_even_if_locked() as client:
        await (_show_peers if peers else _show_operations)(client, as_json)


async def _show_operations(client: Client, as_json: bool) -> None:
    found = await client.call(ListOperations())
    if as_json:
        emit_json(msgspec.to_builtins(found.operations))
        return
    table = _table("operation", "kind", "what it does")
    for each in found.operations:
        table.add_row(Text(f"/head/{each.name}"), each.kind, Text(printable(each.description)))
    emit_table(table)


async def _show_peers(client: Client, as_json: bool) -> None:
    found = await client.call(ListPeers())
    if as_json:
        emit_json(msgspec.to_builtins(found.peers))
        return
    table = _table("peer", "operations")
    for each in found.peers:
        names = [printable(f"/{each.peer_id}/{name}") for name in each.operations]
        table.add_row(Text(each.peer_id), Text("\n".join(names) or "none"))
    emit_table(table)


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(titles[0], no_wrap=True, style="cyan")
    for title in titles[1:]:
        table.add_column(title)
    return table


@talks_to_a_node
async def schema(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in secrets/derive.")],
) -> None:
    """Print what an operation takes, returns and asks of its caller, with its JSON Schemas."""
    async with target.open_even_if_locked() as client:
        found = await client.call(Schema(name.removeprefix("/").removeprefix("head/")))
    emit_json(msgspec.to_builtins(found))
