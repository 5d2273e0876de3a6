"""Context: what a handler knows of the call it answers, beside the request itself."""

import math
from collections.abc import Mapping
from itertools import count
from typing import Any, Protocol

from alknet.call.capabilities import Capabilities
from alknet.call.client import Client
from alknet.call.declared import NOTHING, AbortPolicy, Declared
from alknet.call.operation import OperationSpec
from alknet.call.session import Session
from alknet.call.trace import TraceParent, trace_id
from alknet.identity import Identity

_serial = count(1)


class Composer(Protocol):
    """Gives a handler the client for the operations that it composes, and what it acts with."""

    capabilities: Mapping[str, Any]

    name: str

    def environment(self, context: "Context", /) -> Client:
        """Return the client for the handler of *context*."""
        ...

    def continuing(self, context: "Context", /) -> Client:
        """Return the client for calls that go on when that of *context* is given up."""
        ...


class Context:
    """One call's surroundings; made by the node that is called, never read from the wire.

    `spec` is the operation that is called, and `declared` what its handler has said of itself: what
    it calls, what it acts with, and what becomes of it when the call is given up. `identity` is who
    calls, None for nobody in particular; `session` is the link it came by, None for a call from
    this process. `deadline` is in Trio's clock. `metadata` is what the caller sent along, which
    proves nothing. `traceparent` is where the call stands in a trace, for what is asked of others
    than alknet; what `env` asks belongs to the trace by itself.
    """

    __slots__ = (
        "_composer",
        "_request_id",
        "deadline",
        "declared",
        "identity",
        "metadata",
        "parent_id",
        "session",
        "spec",
        "traceparent",
    )

    def __init__(
        self,
        composer: Composer,
        spec: OperationSpec,
        identity: Identity | None,
        *,
        declared: Declared = NOTHING,
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
        self.declared = declared
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

    @property
    def abort_policy(self) -> AbortPolicy:
        """What becomes of this handler when its call is given up."""
        return self.declared.on_abort

    @property
    def capabilities(self) -> Capabilities:
        """What the node lends this handler to act with: what the handler declared with `needs=`."""
        return Capabilities(self._composer.capabilities, self.declared.needs, self.spec.name)

    @property
    def node(self) -> str:
        """What the node that answers is called: by its settings, or by the head it works for."""
        return self._composer.name

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
        asking the caller for more scopes, and nothing else. Its calls inherit the deadline and the
        trace, have metadata of their own, and are given up with the handler.
        """
        return self._composer.environment(self)

    @property
    def continuing(self) -> Client:
        """As `env`, for calls that, once begun, go on when this one is given up.

        They end by this call's deadline, or when the node has stopped; what comes of those whose
        handler is gone stands in the log. A stream ends with its reader all the same.
        """
        return self._composer.continuing(self)
