"""`alknet backup` and `alknet restore`: a copy of what a node keeps, and the way back."""

from pathlib import Path
from typing import Annotated

import typer

from alknet.cli.failure import Debug, Failure, Misuse
from alknet.cli.init import checked_name
from alknet.cli.output import AsJson, emit, emit_json
from alknet.cli.phrase import AskPassphrase, PhraseDescriptor, PhraseFile, PhraseSource
from alknet.cli.recovery import recover
from alknet.cli.share_source import (
    AskShares,
    ShareDescriptors,
    ShareFiles,
    ShareSource,
    source_of,
)
from alknet.cli.stack_toml import PROFILES, ProfileName
from alknet.cli.target import CONFIG
from alknet.settings import Settings
from alknet.stack import load

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The node's settings.")]


def backup(
    copy: Annotated[Path, typer.Argument(metavar="FILE", help="The copy to make; a new file.")],
    config: Config = CONFIG,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Copy the node's database, as it is at this moment, to a new file; the node may run.

    What the vault has sealed stays sealed in the copy; everything else in it can be read, so it is
    made readable for you alone.
    """
    # Here and below: every command loads this file, and only these two need a database.
    from alknet.store import backup as copies

    database = _database(config)
    copies.backup(database, copy)
    size = copy.stat().st_size
    if as_json:
        emit_json({"database": str(database), "backup": str(copy), "bytes": size})
    else:
        emit(f"copied {database} to {copy} ({size} bytes)")


def restore(
    copy: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="What `alknet backup` has made.", show_default=False),
    ] = None,
    config: Config = CONFIG,
    seed: Annotated[
        bool,
        typer.Option(
            "--seed", metavar="", help="Make the node anew from its recovery phrase instead."
        ),
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="With --seed: what paths call the node.  (default: head)")
    ] = None,
    profile: Annotated[
        ProfileName, typer.Option(help="With --seed: what kind of node it is.")
    ] = ProfileName.HEAD,
    phrase_file: PhraseFile = None,
    phrase_fd: PhraseDescriptor = None,
    ask_shares: AskShares = False,
    share_files: ShareFiles = None,
    share_fds: ShareDescriptors = None,
    ask_passphrase: AskPassphrase = False,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Put a backup in the place of the node's database; the node must not run.

    What was there is kept beside it under another name, which is printed.

    With --seed, on a machine that has nothing: ask for the recovery phrase, or for shares of it,
    and make a node with the same identity, host key and encryption keys; what a phrase cannot give
    back is said.
    """
    if seed == (copy is not None):
        raise Misuse("name the FILE that `alknet backup` has made, or --seed: one of the two")
    if copy is None:
        source = source_of(
            PhraseSource(phrase_file, phrase_fd, ask_passphrase=ask_passphrase),
            ShareSource(share_files, share_fds, asks=ask_shares, ask_passphrase=ask_passphrase),
        )
        source.require()
        chosen = PROFILES[profile].name if name is None else name
        recover(config, source, name=checked_name(chosen), profile=profile, as_json=as_json)
        return
    from alknet.store import backup as copies

    database = _database(config)
    replaced = copies.restore(copy, database)
    if as_json:
        kept = None if replaced is None else str(replaced)
        emit_json({"database": str(database), "backup": str(copy), "replaced": kept})
        return
    emit(f"restored {database} from {copy}")
    if replaced is not None:
        emit(f"what was there is kept as {replaced}: delete it when you need it no more")


def _database(config: Path) -> Path:
    """Return the database that the node of *config* works on.

    Raises:
        Failure: it has none that lasts.
    """
    from alknet.services.storage.base import StorageSettings

    settings: Settings = load(config)
    table = settings.services.get("storage")
    path = table.located(config.parent) if isinstance(table, StorageSettings) else None
    if path is None:
        raise Failure(f"{config}: the node keeps nothing: a database has a `path` under [storage]")
    return path
