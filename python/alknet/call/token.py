"""TokenCheck: a call that came with a token, until it is known whose token that is."""

import math
from collections.abc import Callable
from typing import Any

import structlog

from alknet._core.envelope import CallRequested
from alknet.call.answering import Inbound
from alknet.call.context import Context
from alknet.call.home import Home
from alknet.call.invocation import Invocation
from alknet.call.measure import code_of
from alknet.call.session import Session
from alknet.call.wire_time import local_deadline
from alknet.errors import Aborted, CallError, Internal, NotFound, Unauthenticated
from alknet.identity import Identity
from alknet.protocol.auth import Granted, VerifyToken
from alknet.wire.link import Format

log = structlog.get_logger("alknet.call")


class TokenCheck(Invocation):
    """Asks the node's auth service whose token came with *event*, and goes on with the answer.

    A token stands for its owner in this one call, in place of the peer whose link it came by. It is
    asked about each time: the auth service knows what has been revoked, and which tokens are good
    only once. Until it answers, the call counts as one of the peer's in flight.
    """

    __slots__ = (
        "_credit",
        "_event",
        "_go_on",
        "_home",
        "_refuse",
        "_session",
        "deadline",
        "entry",
        "is_over",
        "items",
        "request",
        "scope",
        "span",
    )

    is_local = False

    def __init__(
        self,
        home: Home,
        session: Session,
        event: CallRequested,
        token: str,
        *,
        go_on: Callable[[Identity], None],
        refuse: Callable[[CallError], None],
    ) -> None:
        """Prepare it; one of *go_on*, with the owner, and *refuse* is called, unless it is aborted.

        Raises:
            Unauthenticated: the link could be listened to, or the node cannot verify tokens.
        """
        if not session.link.is_confidential:
            raise Unauthenticated(
                "a token may not travel over a link that can be listened to: use wss://, and "
                "replace the token"
            )
        try:
            self.entry = home.registry.find_type(VerifyToken)
        except NotFound:
            raise Unauthenticated(
                "this node has no auth service, so it knows nobody by a token: leave the token out"
            ) from None
        self._home = home
        self._session = session
        self._event = event
        self._go_on = go_on
        self._refuse = refuse
        self._credit = 0
        self.request = VerifyToken(token)
        # Who asks stops waiting then; an auth service that hangs is none of the link's business.
        self.deadline = math.inf if event.deadline_ms is None else local_deadline(event.deadline_ms)
        self.scope = None
        self.span = None
        self.items = None
        self.is_over = False

    def begin(self) -> None:
        """Ask; never waits."""
        self._session.inbound[self._event.id] = self
        self.entry.measure.local += 1
        self.entry.endpoint.submit(self)

    @property
    def context(self) -> Context:
        # Asked by the node itself; the link says whom the token would let in.
        return Context(
            self._home,
            self.entry.spec,
            self._home.itself,
            deadline=self.deadline,
            session=self._session,
        )

    def respond(self, value: Any) -> None:
        if self.is_over:
            return
        self._end()
        self.entry.measure.answered += 1
        if not isinstance(value, Granted):
            reason = getattr(value, "reason", "the token is not good")
            log.warning(
                "auth attempt", remote=self._session.link.peer_address, result="reject", why=reason
            )
            self._refuse(Unauthenticated(reason))
            return
        inbound, request_id = self._session.inbound, self._event.id
        self._go_on(value.identity)
        begun: Inbound | None = inbound.get(request_id)
        if self._credit and begun is not None:
            begun.credit(self._credit)

    def fail(self, error: BaseException) -> None:
        if self.is_over:
            return
        self._end()
        self.entry.measure.failed(code_of(error))
        known = error if isinstance(error, CallError) else Internal("the token was not verified")
        self._refuse(known)

    def cancel(self) -> None:
        if not self.is_over:
            self._end()
            self.entry.measure.failed(Aborted.code)
        super().cancel()

    def _end(self) -> None:
        self.is_over = True
        self._session.inbound.pop(self._event.id, None)

    # What the peer says meanwhile.

    def credit(self, items: int) -> None:
        """Keep it for the stream that may come."""
        self._credit += items

    def item(self, item: bytes, format: Format) -> None:
        """Let it go: nothing was invited yet."""

    def finished(self) -> None:
        """Let it go, as an item."""
