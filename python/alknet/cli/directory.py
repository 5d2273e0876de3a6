"""`alknet services` and `alknet schema`: what can be called, and how."""

from enum import StrEnum
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from alknet.call.client import Client
from alknet.cli.connection import talks_to_a_node
from alknet.cli.output import AsJson, emit, emit_json, emit_table, plain_table, printable
from alknet.cli.pulse import link_of, pulse_of
from alknet.cli.stats import tables
from alknet.cli.target import Target
from alknet.protocol.directory import ListOperations, ListPeers, Schema
from alknet.protocol.stats import Stats
from alknet.stack import settings_schema


class What(StrEnum):
    """What `alknet services` shows."""

    LIST = "list"
    STATS = "stats"


@talks_to_a_node
async def services(
    target: Target,
    what: Annotated[
        What, typer.Argument(help="What to show: what can be called, or how all of it fares.")
    ] = What.LIST,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers", metavar="", help="List the connected peers and what they offer instead."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the operations of a node that you may call, or tell how it fares.

    `stats` shows each operation's calls, errors and times, each service's state, and each link. Of
    the operations it leaves out those that were never called; with --json it leaves out nothing.
    """
    async with target.open_even_if_locked() as client:
        if what is What.STATS:
            await _show_stats(client, as_json)
        else:
            await (_show_peers if peers else _show_operations)(client, as_json)


async def _show_operations(client: Client, as_json: bool) -> None:
    found = await client.call(ListOperations())
    if as_json:
        emit_json(msgspec.to_builtins(found.operations))
        return
    table = plain_table("operation", "kind", "what it does")
    for each in found.operations:
        table.add_row(Text(f"/head/{each.name}"), each.kind, Text(printable(each.description)))
    emit_table(table)


async def _show_stats(client: Client, as_json: bool) -> None:
    found = await client.call(Stats())
    if as_json:
        emit_json(msgspec.to_builtins(found))
        return
    for number, table in enumerate(tables(found)):
        if number:
            emit("")
        emit_table(table)


async def _show_peers(client: Client, as_json: bool) -> None:
    found = await client.call(ListPeers())
    if as_json:
        emit_json(msgspec.to_builtins(found.peers))
        return
    table = plain_table("peer", "operations", "how it fares")
    for each in found.peers:
        names = [printable(f"/{each.peer_id}/{name}") for name in each.operations]
        table.add_row(Text(each.peer_id), Text("\n".join(names) or "none"), Text(pulse_of(each)))
    emit_table(table)
    for head in found.heads:
        emit(f"head {printable(link_of(head))}")


def _show_settings_schema(wanted: bool) -> None:
    if wanted:
        emit_json(settings_schema())
        raise typer.Exit


@talks_to_a_node
async def schema(
    target: Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in secrets/derive.")],
    _settings: Annotated[
        bool,
        typer.Option(
            "--settings",
            metavar="",
            callback=_show_settings_schema,
            is_eager=True,
            help="Print the JSON Schema of stack.toml instead, for editors; asks no node.",
        ),
    ] = False,
) -> None:
    """Print what an operation takes, returns and asks of its caller, with its JSON Schemas."""
    async with target.open_even_if_locked() as client:
        found = await client.call(Schema(name.removeprefix("/").removeprefix("head/")))
    emit_json(msgspec.to_builtins(found))
