"""THE HOT PATH: from a request on a link to the handler that answers it.

Everything here runs in the reader of the link and never waits: look the operation up, check the
caller, read the input, hand the call to whoever answers. A handler that may run at once does.
"""

import math
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
import trio

from alknet._core.envelope import CallRequested
from alknet.call import trace
from alknet.call.access import confined, overheard, refusal, unknown
from alknet.call.client import Client
from alknet.call.context import Context
from alknet.call.continuing import ContinuingClient
from alknet.call.home import Home
from alknet.call.inbound import RemoteInvocation
from alknet.call.inbound_stream import RemoteStreamInvocation
from alknet.call.invocation import Entry
from alknet.call.local import LocalClient
from alknet.call.operation import STREAMING
from alknet.call.payload import PayloadType
from alknet.call.relay import Relay
from alknet.call.relayed_stream import RelayedStream
from alknet.call.resource import resource_of
from alknet.call.session import Session
from alknet.call.token import TokenCheck
from alknet.call.wire_time import local_deadline
from alknet.errors import (
    CallError,
    DeadlineExceeded,
    Internal,
    InvalidInput,
    RateLimited,
    Unauthenticated,
    Unavailable,
    traced,
)
from alknet.identity import Identity

log = structlog.get_logger("alknet.call")

_IDENTITY = PayloadType(Identity)
# How many of those for whom a peer asks are remembered on its link.
_MOST_SPOKEN_FOR = 256


class Dispatcher(Home):
    """Takes requests from sessions and from this process to whoever answers them."""

    def client(self, identity: Identity | None) -> Client:
        """Return a client that calls as *identity*, from within this process."""
        return LocalClient(self, identity)

    def environment(self, context: Context) -> Client:
        return LocalClient(self, context.identity, parent=context, uses=context.declared.uses)

    def continuing(self, context: Context) -> Client:
        return ContinuingClient(self.environment(context), self.continuations, context)

    def withdraw(self, names: Iterable[str]) -> None:
        """Answer the operations called *names* no more, whoever has been let in to them."""
        self.registry.remove(names)
        for session in self.peers.sessions():
            session.admitted.clear()

    def requested(self, session: Session, event: CallRequested) -> None:
        """Answer *event*, or have it answered; every road ends in exactly one outcome."""
        request_id = event.id
        if not request_id or request_id in session.inbound:
            session.refusals.note()
            session.fail(
                request_id or "?",
                "INVALID_INPUT",
                f"the request id {request_id!r} is in use; give every call on a link its own",
            )
            return
        try:
            if self.allowance is not None:
                self.allowance.call(session.peer, session.link.peer_address)
            entry = session.admitted.get(event.operation)
            if event.auth_token is not None:
                self._verify(session, event, event.auth_token)
            elif entry is None or event.forwarded_for is not None:
                self._first(session, event, session.identity)
            else:
                self._submit(session, event, entry, session.identity)
        except Exception as error:
            self._failed(session, event, error)

    def _verify(self, session: Session, event: CallRequested, token: str) -> None:
        """Find out whose *token* it is, and take the call as that one's."""

        def go_on(owner: Identity) -> None:
            try:
                self._first(session, event, owner)
            except Exception as error:
                self._failed(session, event, error)

        self._check_room(session)
        refuse = partial(self._refuse, session, event)
        TokenCheck(self, session, event, token, go_on=go_on, refuse=refuse).begin()

    def _failed(self, session: Session, event: CallRequested, error: Exception) -> None:
        """Answer *event*, which has not become a call, with what *error* is to its caller."""
        if isinstance(error, CallError):
            self._refuse(session, event, error)
        else:
            # A request type whose own code fails while it is read must cost no one else the link.
            self._refuse(session, event, Internal(f"{event.operation} could not be read"))
            # Its words may quote the input, which is not logged.
            cause = traced(error, is_confidential=True)
            log.error("request failed", **self._facts(session, event), cause=cause)

    def _refuse(self, session: Session, event: CallRequested, error: CallError) -> None:
        """Answer *event*, which has not become a call, with *error*, and count it."""
        session.refuse(event.id, error)
        session.refusals.note()
        entry = self.registry.get(self._name_of(event))
        if entry is not None:
            entry.measure.refused(error.code)
        if session.access_log is not None:
            facts = self._facts(session, event)
            session.access_log.debug("call", **facts, outcome=error.code, seconds=0.0)

    def _name_of(self, event: CallRequested) -> str:
        """Return the name of the operation that *event* asks for, if it is of this node, or ""."""
        with suppress(InvalidInput):
            node, name = self.split(event.operation)
            if node is None:
                return name
        return ""

    def _facts(self, session: Session, event: CallRequested) -> dict[str, Any]:
        """Return what the log says about a request that is no call yet, as `Context.facts`."""
        traceparent = trace.parse(event.traceparent)
        return {
            "operation": self._name_of(event) or event.operation,
            "request_id": event.id,
            "parent_id": event.parent_id,
            "peer": session.peer,
            "caller": None,
            "trace": None if traceparent is None else trace.trace_id(traceparent),
        }

    def _first(self, session: Session, event: CallRequested, asker: Identity | None) -> None:
        """Take the long way: route, find out for whom *asker* asks, check."""
        identity = self._caller(session, event, asker)
        node, name = self.split(event.operation)
        if node is not None:
            if identity is None:
                # Passed on without a name, it would count as a wish of this node's own.
                raise Unauthenticated(f"{node}/{name} wants to know who calls: authenticate first")
            held = confined(name, identity)
            if held is not None:
                raise held
            if self.is_stopping:
                raise Unavailable("this node is stopping and passes no more calls on")
            self._check_room(session)
            target = self.peers.route(node, name)
            is_private = session.link.is_confidential and target.link.is_confidential
            if not is_private and self.peers.is_confidential(target, name):
                raise overheard(f"{node}/{name}")
            kind = self.peers.kind(target, name)
            passed_on = RelayedStream if kind in STREAMING else Relay
            has_items = kind in ("upload", "duplex")
            passed_on(session, event.id, target, has_items=has_items).begin(event, name, identity)
            return
        entry = self.registry.get(name)
        if entry is None:
            raise unknown(name)
        spec = entry.spec
        on_resource = spec.access.resource_type is not None
        resource = None
        if on_resource:
            resource = resource_of(spec.resource_id, entry.input.decode(event.input, event.format))
        error = refusal(
            spec,
            identity,
            is_private=session.link.is_confidential,
            resource=resource,
            ownership=self.ownership,
        )
        if error is not None:
            raise error
        if identity is session.identity and not on_resource:
            session.admitted[event.operation] = entry
        self._submit(session, event, entry, identity)

    @staticmethod
    def _check_room(session: Session) -> None:
        if len(session.inbound) >= session.limits.calls_in_flight:
            raise RateLimited(
                f"{len(session.inbound)} of your calls are unanswered on this link, the most that "
                f"this node allows; wait for some of them"
            )

    def _caller(
        self, session: Session, event: CallRequested, asker: Identity | None
    ) -> Identity | None:
        """Return on whose behalf *asker* asks: its own, unless it may speak for others."""
        if event.forwarded_for is None or asker is None:
            return asker
        is_own = asker is session.identity
        known = session.spoken_for.get(event.forwarded_for) if is_own else None
        if known is not None:
            return known
        if not asker.has("identity:forward"):
            return asker
        forwarded = _IDENTITY.decode(event.forwarded_for, event.format)
        narrowed: Identity = asker.narrowed_to(forwarded)
        if is_own:
            if len(session.spoken_for) >= _MOST_SPOKEN_FOR:
                session.spoken_for.clear()
            session.spoken_for[event.forwarded_for] = narrowed
        return narrowed

    def _submit(
        self, session: Session, event: CallRequested, entry: Entry, identity: Identity | None
    ) -> None:
        self._check_room(session)
        now = trio.current_time()
        deadline = math.inf
        if event.deadline_ms is not None:
            deadline = local_deadline(event.deadline_ms, now)
            if deadline <= now:
                raise DeadlineExceeded(
                    f"the deadline of {entry.spec.name} was over when it arrived"
                )
        spec = entry.spec
        # A caller that grants items wants a stream, one that grants none wants an answer and has
        # nothing more to send, and one that says nothing takes what comes.
        if event.window is not None:
            spec.expect(*(STREAMING if event.window else ("query", "mutation")))
        kind = RemoteStreamInvocation if spec.is_stream else RemoteInvocation
        invocation = kind(self, session, event, entry, identity, deadline, now)
        entry.measure.remote += 1
        traceparent = event.traceparent
        if traceparent is not None or trace.is_live:
            about = {"request_id": event.id, "peer": session.peer}
            invocation.span = trace.served(spec.name, traceparent, about)
        session.inbound[event.id] = invocation
        entry.endpoint.submit(invocation)
