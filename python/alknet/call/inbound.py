"""Invocations whose caller is at the other end of a link."""

from contextlib import suppress
from functools import partial
from typing import Any, Final

import trio

from alknet._core.envelope import CallRequested
from alknet.call.context import Context
from alknet.call.home import Home
from alknet.call.invocation import Entry, Invocation
from alknet.call.items import DEFAULT_WINDOW, Items
from alknet.call.payload import PayloadType, encode
from alknet.call.session import Session
from alknet.call.wire_time import GRACE_MS
from alknet.errors import Aborted, CallError, DeadlineExceeded, Internal, InvalidInput
from alknet.identity import Identity
from alknet.wire.link import Format

_ANYTHING: Final = PayloadType(Any)


class RemoteInvocation(Invocation):
    """A peer's call: the outcome is written to its link."""

    __slots__ = (
        "_event",
        "_home",
        "_identity",
        "deadline",
        "entry",
        "is_over",
        "items",
        "request",
        "scope",
        "session",
        "span",
        "started",
    )

    is_local = False

    def __init__(
        self,
        home: Home,
        session: Session,
        event: CallRequested,
        entry: Entry,
        identity: Identity | None,
        deadline: float,
        started: float,
    ) -> None:
        self._home = home
        self._event = event
        self._identity = identity
        self.session = session
        self.entry = entry
        self.request = entry.input.decode(event.input, event.format)
        self.deadline = deadline
        self.started = started
        self.span = None
        self.scope = None
        self.is_over = False
        self.items = None
        if entry.item is not None:
            invite = partial(session.invite, event.id)
            self.items = Items()
            self.items.grant_with(invite)
            invite(DEFAULT_WINDOW)

    @property
    def sender(self) -> Session:
        return self.session

    @property
    def context(self) -> Context:
        return self._context(read_metadata(self._event))

    def facts(self) -> dict[str, Any]:
        # Metadata are not looked at: they may be such that reading them fails.
        return self._context(None).facts()

    def _context(self, metadata: dict[str, Any] | None) -> Context:
        event = self._event
        return Context(
            self._home,
            self.entry.spec,
            self._identity,
            declared=self.entry.endpoint.declared,
            request_id=event.id,
            parent_id=event.parent_id,
            deadline=self.deadline,
            metadata=metadata,
            session=self.session,
            traceparent=None if self.span is None else self.span.traceparent,
        )

    def respond(self, value: Any) -> None:
        if not self.is_over:
            session = self.session
            raw = encode(value, session.format)
            self._end()
            session.respond(self._event.id, raw, session.format)

    def fail(self, error: BaseException) -> None:
        known = error if isinstance(error, CallError) else Internal("the operation failed")
        if self._end(known.code):
            self.session.refuse(self._event.id, known)

    def cancel(self) -> None:
        # A caller whose time is up says so a moment before our own clock would.
        is_late = self.deadline - trio.current_time() <= GRACE_MS / 1000
        self._end(DeadlineExceeded.code if is_late else Aborted.code)
        super().cancel()

    def _end(self, code: str | None = None) -> bool:
        """Mark the call as over, with an error if there is a *code*; return whether it was not."""
        if self.is_over:
            return False
        self.is_over = True
        session = self.session
        session.inbound.pop(self._event.id, None)
        seconds = trio.current_time() - self.started
        self.entry.measure.ended(code, seconds)
        if self.span is not None:
            self.span.end(code)
        if session.access_log is not None:
            with suppress(Exception):  # a log that cannot be written must cost no call its outcome
                facts = self.facts()
                session.access_log.debug("call", **facts, outcome=code or "OK", seconds=seconds)
        return True

    def credit(self, items: int) -> None:
        """Credit means nothing for a call with a single answer."""

    def item(self, item: bytes, format: Format) -> None:
        """Take an item of an upload or duplex; one that does not fit fails the call."""
        items, kind = self.items, self.entry.item
        if items is None or kind is None or items.is_over:
            return
        try:
            if items.is_full:
                raise InvalidInput("more items came than there was credit for")
            items.push(kind.decode(item, format))
        except InvalidInput as error:
            self.fail(error)
            self.cancel()

    def finished(self) -> None:
        """Let the handler's iteration over the items end."""
        if self.items is not None:
            self.items.finish()


def read_metadata(event: CallRequested) -> dict[str, Any] | None:
    """Return what the caller sent along, if it is an object; it proves nothing."""
    if event.metadata is None:
        return None
    value = _ANYTHING.decode(event.metadata, event.format)
    return value if isinstance(value, dict) else None
