"""The examination: everything that is looked at, in the order it is told."""

from pathlib import Path

import trio

from alknet.cli.doctor import files, machine, network
from alknet.cli.doctor.finding import Finding, State
from alknet.errors import SettingsError
from alknet.settings import Settings
from alknet.stack import load


def examine(config: Path) -> list[Finding]:
    """Return what was found, for the node that the settings *config* describe."""
    try:
        settings = load(config)
    except SettingsError as error:
        first = Finding("settings", State.BAD, str(error), "mend the file, or name another")
        return [first, *_always(config.parent)]
    found = [Finding("settings", State.FINE, f"{config} can be served")]
    found += files.permissions(config, settings)
    found += files.certificates(config.parent, settings)
    found += trio.run(network.ports, settings.node.listen)
    found += trio.run(network.nodes, config.parent, settings)
    return [*found, *_always(_data(config, settings))]


def _always(folder: Path) -> list[Finding]:
    """Return what can be told of any node; its data lie in *folder*."""
    return [files.disk(folder), machine.clock(), machine.memory(), machine.core_dumps()]


def _data(config: Path, settings: Settings) -> Path:
    path = files.database(config, settings)
    return config.parent if path is None else path.parent
