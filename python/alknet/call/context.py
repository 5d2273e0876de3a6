"""Context: what a handler knows of the call it answers, beside the request itself."""

import math
from collections.abc import Mapping
from itertools import count
from typing import Any, Protocol

from alknet.call.client import Client
from alknet.call.operation import OperationSpec
from alknet.call.session import Session
from alknet.call.trace import TraceParent, trace_id
from alknet.identity import Identity

_serial = count(1)


class Composer(Protocol):
    """Gives a handler the client for the operations that it composes."""

    def environment(self, context: "Context", /) -> Client:
        """Return the client for the handler of *context*."""
        ...


class Context:
    """One call's surroundings; made by the node that is called, never read from the wire.

    `spec` is the operation that is called, and `uses` what its handler has declared that it calls
    itself. `identity` is who calls, None for nobody in particular; `session` is the link it came
    by, None for a call from this process. `deadline` is in Trio's clock. `metadata` is what the
    caller sent along, which proves nothing. `traceparent` is where the call stands in a trace, for
    what is asked of others than alknet; what `env` asks belongs to the trace by itself.
    """

    __slots__ = (
        "_composer",
        "_request_id",
        "deadline",
        "identity",
        "metadata",
        "parent_id",
        "session",
        "spec",
        "traceparent",
        "uses",
    )

    def __init__(
        self,
        composer: Composer,
        spec: OperationSpec,
        identity: Identity | None,
        *,
        uses: frozenset[str] = frozenset(),
        request_id: str | None = None,
        parent_id: str | None = None,
        deadline: float = math.inf,
        metadata: Mapping[str, Any] | None = None,
        session: Session | None = None,
        traceparent: TraceParent | None = None,
    ) -> None:
        self._composer = composer
        self._request_id = request_id
        self.spec = spec
        self.uses = uses
        self.identity = identity
        self.parent_id = parent_id
        self.deadline = deadline
        self.metadata = metadata
        self.session = session
        self.traceparent = traceparent

    @property
    def request_id(self) -> str:
        """What this call is known by in logs; unique in this process for local calls."""
        if self._request_id is None:
            self._request_id = f"local-{next(_serial)}"
        return self._request_id

    def facts(self) -> dict[str, Any]:
        """Return what every line of the log says about this call: who and where, never what."""
        return {
            "operation": self.spec.name,
            "request_id": self.request_id,
            "parent_id": self.parent_id,
            "peer": None if self.session is None else self.session.peer,
            "caller": None if self.identity is None else self.identity.id,
            "trace": None if self.traceparent is None else trace_id(self.traceparent),
        }

    @property
    def env(self) -> Client:
        """A client for the calls that this handler is composed of.

        It may call what the handler declared with `uses=`, on behalf of the caller and without
        asking the caller for more scopes, and nothing else. Its calls inherit the deadline.
        """
        return self._composer.environment(self)
