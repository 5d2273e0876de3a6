"""Host: what a node gives to each of its services."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import trio

from alknet.call.home import Home
from alknet.call.session import Session
from alknet.errors import InvalidInput, SettingsError
from alknet.forwarding.forwarder import Forwarder
from alknet.protocol.auth import Granted
from alknet.protocol.config import RateLimits
from alknet.protocol.stats import ServiceStats
from alknet.quota.quota import Quota
from alknet.runtime.audit_trail import AuditTrail
from alknet.runtime.guest import Guest
from alknet.runtime.linked import Link, LinkedNode
from alknet.runtime.vault import Vault

T = TypeVar("T")


class Host:
    """The node as its services see it.

    `section(namespace)` reads that table of stack.toml anew and returns it checked; it raises
    SettingsError, and the service keeps what it has, if the file has a fault. `folder` is where a
    relative path in it begins: beside the file, or here if there is none. `services()` tells how
    the services of the node fare, and `heads()` which nodes it has joined. `granted` says by what
    each open link, or guest, was let in, and `still_grants` tells whether that would be granted
    now; who lets links in sets it.
    """

    def __init__(
        self,
        home: Home,
        vault: Vault,
        section: Callable[[str], Any],
        folder: Path = Path(),
        services: Callable[[], tuple[ServiceStats, ...]] = tuple,
        quota: Quota | None = None,
        forwarder: Forwarder | None = None,
        link: Link | None = None,
        audit: AuditTrail | None = None,
        heads: Callable[[], Sequence[LinkedNode]] = tuple,
    ) -> None:
        self.home = home
        self.vault = vault
        self.section = section
        self.folder = folder
        self.services = services
        self.granted: dict[Session | Guest, Granted] = {}
        self.still_grants: Callable[[Granted], bool] = lambda _: True
        self._lent: dict[type[Any], Any] = {}
        self.heads = heads
        self._forwarder = forwarder
        self._link = link
        self._audit = audit
        self._quota = quota or Quota(trio.current_time)

    @property
    def link(self) -> Link:
        """What gives a service another node to ask."""
        assert self._link is not None, "this host was given no way to other nodes"
        return self._link

    @property
    def audit(self) -> AuditTrail:
        """What writes down who was let in."""
        assert self._audit is not None, "this host was given no audit log to write to"
        return self._audit

    @property
    def forwarder(self) -> Forwarder:
        """What opens connections for others."""
        assert self._forwarder is not None, "this host forwards no connections"
        return self._forwarder

    def limit(self, limits: RateLimits) -> None:
        """Have the node enforce *limits* on links and calls from now on."""
        self._quota.put(limits)
        # Calls pay for being counted only where somebody wants them counted.
        self.home.allowance = self._quota if self._quota.counts_calls else None

    def reread(self, namespace: str) -> Any:
        """Return that table of stack.toml as it is now, for an operation that puts it in force.

        Raises:
            InvalidInput: the file has a fault, which is for the caller to mend; it says where.
        """
        try:
            return self.section(namespace)
        except SettingsError as error:
            raise InvalidInput(str(error)) from None

    def lend(self, thing: object) -> None:
        """Let the services that require the caller use *thing*, for as long as it runs."""
        self._lent[type(thing)] = thing

    def borrow(self, kind: type[T]) -> T:
        """Return the *kind* that a service which the caller requires has lent.

        What is lent anew, after a restart, is another: borrow it in `running`, each time.
        """
        thing: T = self._lent[kind]
        return thing

    @property
    def name(self) -> str:
        """What the node is called."""
        return self.home.name
