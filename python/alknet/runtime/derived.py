"""What a node elsewhere has derived for callers of this one, kept for a while.

Only public halves are: private keys never leave the other vault, and passwords and what it opens
are not kept. It is not for secrecy that these are dropped, but because a node that was locked, or
that does not know us any more, has said no, and no answer of ours may say otherwise. So the other
node tells of every lock, and nothing is kept before it does; a link that is lost is waited for a
moment, since locks are told of when it is back.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

import structlog
import trio

from alknet.call.remote import DEFAULT_TIMEOUT, RemoteClient
from alknet.call.session import Session
from alknet.errors import CallError, Disconnected
from alknet.identity import Identity
from alknet.protocol.request import Request
from alknet.protocol.secret import (
    DeriveEd25519,
    DeriveEncryptionKey,
    DeriveEthereumKey,
    WatchVault,
)
from alknet.runtime.linked import LinkedNode

log = structlog.get_logger("alknet.derived")

_KEPT: Final = (DeriveEd25519, DeriveEncryptionKey, DeriveEthereumKey)


class Derived:
    """Keeps up to *entries* answers, each for *seconds*; *away* seconds without a link drop all.

    Each is for one caller, with the rights that it had: what one was told, another is not.
    """

    def __init__(self, seconds: float, entries: int, away: float) -> None:
        self._seconds = seconds
        self._entries = entries
        self._away = away
        self._answers: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._epoch: str | None = None
        self._scopes: frozenset[str] = frozenset()
        # Until when what is kept may be told: for ever while the other node tells of its locks.
        self._until = -math.inf
        self._put = trio.Event()
        self.generation = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, request: Request[Any], caller: Identity | None) -> Any:
        """Return what was answered to *request* of *caller*; None if that is not known now."""
        if not (isinstance(request, _KEPT) and caller is not None):
            return None
        now = trio.current_time()
        dies, answer = self._answers.get(_key(request, caller), (-math.inf, None))
        return answer if now < dies and now < self._until else None

    def put(
        self, request: Request[Any], caller: Identity | None, answer: Any, generation: int
    ) -> None:
        """Keep *answer*, unless something was locked since *generation*, when it was asked for."""
        is_followed = self._until == math.inf
        if not (isinstance(request, _KEPT) and caller is not None and is_followed):
            return
        if generation != self.generation:
            return
        key = _key(request, caller)
        # In the order in which they die: the first is the next.
        self._answers.pop(key, None)
        self._answers[key] = (trio.current_time() + self._seconds, answer)
        if len(self._answers) > self._entries:
            self._answers.popitem(last=False)
        self._put.set()

    def wipe(self, why: str) -> None:
        """Keep nothing of what is kept, nor of what is on its way."""
        self.generation += 1
        if self._answers:
            log.info("derived keys dropped", keys=len(self._answers), why=why)
            self._answers.clear()

    async def follow(self, node: LinkedNode) -> None:
        """Drop what is kept whenever *node* says so, or says nothing for too long; never return."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._expire)
                while True:
                    await self._follow(node, node.changed, node.session)
        finally:
            # Nobody listens for locks any more.
            self._until = -math.inf
            self.wipe("the service has stopped")

    async def _follow(self, node: LinkedNode, changed: trio.Event, session: Session | None) -> None:
        """Do what is to be done with *session*, and return when it is another: when *changed*."""
        if session is not None:
            if node.scopes != self._scopes:
                self.wipe("this node has other rights there than before")
                self._scopes = node.scopes
            await self._watch(session)
        elif node.is_refused:
            self.wipe("this node is not let in there any more")
        with trio.move_on_at(self._until):
            await changed.wait()
            return
        self.wipe(f"there was no link for {self._away:g} s")
        await changed.wait()

    async def _watch(self, session: Session) -> None:
        """Follow the locks of the node at the end of *session* until that ends."""
        client = RemoteClient(session, timeout=DEFAULT_TIMEOUT)
        try:
            async with client.stream(WatchVault()) as epochs:
                async for each in epochs:
                    if each.locked or each.epoch != self._epoch:
                        self.wipe("the other vault was locked")
                    self._epoch = each.epoch
                    self._until = -math.inf if each.locked else math.inf
        except Disconnected:
            pass
        except CallError as error:
            self.wipe("the other node does not tell of its locks")
            self._until = -math.inf
            log.warning("derived keys are not kept", node=session.peer, why=str(error))
        if self._until == math.inf:
            self._until = trio.current_time() + self._away

    async def _expire(self) -> None:
        while True:
            if not self._answers:
                self._put = trio.Event()
                await self._put.wait()
            dies, _ = next(iter(self._answers.values()))
            await trio.sleep_until(dies)
            now = trio.current_time()
            while self._answers and next(iter(self._answers.values()))[0] <= now:
                self._answers.popitem(last=False)


def _key(request: Request[Any], caller: Identity) -> Hashable:
    rights = caller.scopes, caller.denied, caller.only
    return request, caller.id, caller.tenant, rights
