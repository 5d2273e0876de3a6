"""Host: what a node gives to each of its services."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alknet.call.home import Home
from alknet.errors import InvalidInput, SettingsError
from alknet.protocol.stats import ServiceStats
from alknet.runtime.vault import Vault


class Host:
    """The node as its services see it.

    `section(namespace)` reads that table of stack.toml anew and returns it checked; it raises
    SettingsError, and the service keeps what it has, if the file has a fault. `folder` is where a
    relative path in it begins: beside the file, or here if there is none. `services()` tells how
    the services of the node fare.
    """

    def __init__(
        self,
        home: Home,
        vault: Vault,
        section: Callable[[str], Any],
        folder: Path = Path(),
        services: Callable[[], tuple[ServiceStats, ...]] = tuple,
    ) -> None:
        self.home = home
        self.vault = vault
        self.section = section
        self.folder = folder
        self.services = services

    def reread(self, namespace: str) -> Any:
        """Return that table of stack.toml as it is now, for an operation that puts it in force.

        Raises:
            InvalidInput: the file has a fault, which is for the caller to mend; it says where.
        """
        try:
            return self.section(namespace)
        except SettingsError as error:
            raise InvalidInput(str(error)) from None

    @property
    def name(self) -> str:
        """What the node is called."""
        return self.home.name
