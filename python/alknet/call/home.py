"""Home: what a node knows of where calls lead: its own operations, its peers, and its name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from alknet.call.client import ANY, HERE, Client
from alknet.call.context import Context
from alknet.call.continuations import Continuations
from alknet.call.peers import Peers
from alknet.call.registry import Registry
from alknet.call.resource import Ownerships
from alknet.errors import InvalidInput
from alknet.identity import Identity

NONE: Final[Mapping[str, Any]] = MappingProxyType({})
# So many slashes has a path with a node in it, without the one in front.
_NODE_TOO: Final = 2
# What a path may call the head of a worker, in what the worker tells it: `/worker/task/submit`.
WORKER: Final = "worker"


class Allowance(Protocol):
    """Counts the calls of peers."""

    def call(self, identity: str, remote: str, /) -> None:
        """Count a call of the peer called *identity*, whose address is *remote*.

        Raises:
            RateLimited: it calls too often.
        """


class Home(ABC):
    """A registry, the peers that are connected, and the paths that lead to them.

    `name` is what this node is called in paths, beside `head`, and `itself` the identity that it
    calls with on its own behalf: it may do what it likes with itself. `ownership` answers who may
    do what with which resource; a service that knows of some adds itself there. `allowance` says
    how often peers may call, None as often as they like. A node that `is_stopping` passes no more
    calls on. `capabilities` are what its handlers may be lent, and `continuations` makes the calls
    that outlive who asked for them; somebody has to run it.
    """

    def __init__(
        self,
        registry: Registry,
        name: str = HERE,
        *,
        capabilities: Mapping[str, Any] = NONE,
        continuations: Continuations | None = None,
    ) -> None:
        self.registry = registry
        self.capabilities = capabilities
        self.continuations = continuations or Continuations()
        self.name = name
        self.itself = Identity(name, frozenset({"*"}))
        self.peers = Peers()
        self.ownership = Ownerships()
        self.allowance: Allowance | None = None
        self.is_stopping = False

    def is_here(self, node: str) -> bool:
        """Whether *node* in a path means this node."""
        return node in (HERE, self.name)

    def can_be_called(self, peer: str) -> bool:
        """Whether paths can lead to a peer of that name: it means nothing else here."""
        return not self.is_here(peer) and peer != ANY and "/" not in peer

    def split(self, path: str) -> tuple[str | None, str]:
        """Return the node that *path* leads to, None for this one, and the operation's name.

        `/head/secrets/derive` and `/secrets/derive` mean the operation here, and so does
        `secrets.derive`, which older callers write; `/worker-1/echo/shout` means the peer's, and
        `/head/worker-1/echo/shout` too, as a node says that has passed the call on to this one.
        What is here by a name of three words goes before what a peer has. What begins with
        `/worker/` is what workers tell their head, and means the operation here, unless a peer of
        that name is connected.

        Raises:
            InvalidInput: the path has no operation in it.
        """
        text = path.removeprefix("/")
        if "/" not in text:
            text = text.replace(".", "/", 1)
        node, _, name = text.partition("/")
        if not name or "//" in text:
            raise InvalidInput(
                f"{path!r} names no operation: write /node/service/operation, "
                f"as in /head/secrets/derive"
            )
        if node == HERE or (self.is_here(node) and "/" in name):
            if name.count("/") < _NODE_TOO or self.registry.get(name) is not None:
                return None, name
            node, _, name = name.partition("/")
        if "/" not in name or self.registry.get(text) is not None:
            return None, text
        if node == WORKER and not self.peers.is_connected(node):
            return None, name
        return node, name

    @abstractmethod
    def environment(self, context: Context) -> Client:
        """Return the client through which the handler of *context* composes other operations."""

    @abstractmethod
    def continuing(self, context: Context) -> Client:
        """Return the client for calls of that handler that go on when it is given up."""
