"""Answers: who was said to be who, to others than this node itself, for the audit log.

What comes of a link here is written down where links are let in. Here it is what another node was
told, and what became of a token that came with a call; of the tokens that were good, the first time
that each comes by a link, since the link may bring it with every call.
"""

from weakref import WeakKeyDictionary

from alknet.call.context import Context
from alknet.call.session import Session
from alknet.identity import Identity
from alknet.keys import ssh_fingerprint
from alknet.protocol.auth import Denied, Granted, VerifyCertificate, VerifyPubkey, VerifyToken
from alknet.runtime.audit_trail import AuditTrail

Question = VerifyPubkey | VerifyCertificate | VerifyToken


class Answers:
    """Notes in *trail* what is answered; who asks as *itself* is this node."""

    def __init__(self, trail: AuditTrail, itself: Identity) -> None:
        self._trail = trail
        self._itself = itself
        self._tokens: WeakKeyDictionary[Session, set[str]] = WeakKeyDictionary()

    def noted(self, question: Question, verdict: Granted | Denied, context: Context) -> None:
        """Have *verdict* written down, which answers *question*; never waits."""
        session = context.session
        if session is None or not self._trail.is_kept:
            return
        if context.identity is self._itself:
            self._token(session, verdict)
        elif isinstance(verdict, Granted):
            name = None if verdict.credential is None else verdict.credential.id
            self._tell("granted", verdict.identity.id, question, session, credential=name)
        else:
            name = "a token"
            if not isinstance(question, VerifyToken):
                name = ssh_fingerprint(question.public_key)
            self._tell("denied", name, question, session, why=verdict.reason)

    def _tell(
        self, result: str, subject: str, question: Question, session: Session, **more: str | None
    ) -> None:
        asker, source = session.peer, question.source
        self._trail.note(f"auth.{result}", subject, asker=asker, source=source, **more)

    def _token(self, session: Session, verdict: Granted | Denied) -> None:
        remote = session.link.peer_address
        if isinstance(verdict, Denied):
            why = f"a token with a call: {verdict.reason}"
            self._trail.note("auth.refused", remote, peer=session.peer, why=why)
            return
        seen = self._tokens.setdefault(session, set())
        id = "" if verdict.credential is None else verdict.credential.id
        if id not in seen:
            seen.add(id)
            who = verdict.identity.id
            self._trail.note("auth.accepted", who, remote=remote, peer=session.peer, token=id)
