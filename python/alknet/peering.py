"""Peering: how this node gets to the others that its settings name, and who it is to them."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import trio

from alknet.call.continuations import Continuations
from alknet.call.dispatch import Dispatcher
from alknet.call.home import NONE
from alknet.call.registry import Registry
from alknet.dialer import Dialer
from alknet.errors import Locked
from alknet.keys import Ed25519Key
from alknet.runtime.key_file import read_private_key
from alknet.runtime.linked import LinkedNode, Opened
from alknet.transport import road
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits


class Peering:
    """Makes the links of a node to others.

    *folder* is where a relative path in its settings begins. *identity* returns its own key, None
    while its vault is locked.
    """

    def __init__(
        self, folder: Path, identity: Callable[[], Ed25519Key | None], limits: Limits
    ) -> None:
        self._folder = folder
        self._identity = identity
        self._limits = limits

    def link(
        self,
        wanted: str,
        url: str | Sequence[str],
        *,
        expect: str | None = None,
        key: Path | None = None,
        ca: Path | None = None,
        node: Dispatcher | None = None,
        grant: Iterable[str] = (),
    ) -> LinkedNode:
        """Return the node at *url*, as `runtime.linked.Link` says; several are ways to the same.

        With *node*, what it and its peers answer is offered there, to callers with scopes that
        *grant* names too; without, nobody there may ask us anything.

        Raises:
            SettingsError: a file cannot be used.
        """
        urls = (url,) if isinstance(url, str) else tuple(url)
        own = None if key is None else read_private_key(self._folder / key)
        authorities = None if ca is None else self._folder / ca
        # Read anew for each link; but a file that is no good should stop the start.
        Trust.of("", expect, authorities)

        async def dial(nursery: trio.Nursery) -> Opened:
            proof = own or self._identity()
            if proof is None:
                raise Locked(
                    "this node cannot prove who it is there: unlock its vault, or name a `key` file"
                )
            dialer = Dialer(
                urls,
                proof,
                dial=partial(road.dial, trust=Trust.of(proof, expect, authorities)),
                expect=expect,
                registry=Registry(),
                node=node,
                grant=grant,
                capabilities=NONE,
                continuations=Continuations(),
                format="json",
                limits=self._limits,
            )
            return Opened(await dialer.open(nursery), dialer.granted)

        return LinkedNode(wanted, urls, dial)
