"""Every error alknet raises, sorted by whose fault it is.

::

    AlknetError
    ├── CallError                an operation gave no answer; `code` is what the wire says
    │   ├── InvalidInput         what was asked makes no sense as it stands: change it
    │   │   ├── BadMnemonic      a word, the number of words or the checksum
    │   │   ├── BadShare         a share of a phrase, or one that does not fit the others
    │   │   ├── BadPath          a derivation path
    │   │   ├── BadKey           a public, private or extended key
    │   │   └── BadCiphertext    not EncryptedData at all
    │   ├── InvalidOperationType call() on a subscription, stream() on a request
    │   ├── BadSignature         the signature is not by that key over that message
    │   ├── DecryptionFailed     wrong key, wrong associated data, or altered bytes
    │   ├── NotFound             no such operation, or none that you may know of
    │   ├── Conflict             it is there already, or has changed, or others hold on to it
    │   ├── Unauthenticated      nobody has said who you are
    │   ├── Forbidden            you are known, and may not
    │   ├── Locked               the vault is locked: unlock it
    │   ├── AlreadyUnlocked      lock it first
    │   ├── DeadlineExceeded     the answer did not come in time
    │   ├── Aborted              somebody ended the call on purpose
    │   ├── RateLimited          too often
    │   ├── SlowConsumer         a subscription was not read fast enough
    │   ├── Unavailable          the service cannot answer now; later it may
    │   │   └── Disconnected     the link was lost while the call was in flight
    │   └── Internal             a fault of ours; the log has the cause
    │       └── UnknownCode      a peer's error with a code that nobody here has declared
    ├── ProtocolError            bytes that break the rules of the wire
    │   ├── LocalProtocolError   by us
    │   └── RemoteProtocolError  by them; the link is closed
    │       ├── FrameTooLarge
    │       └── MalformedEnvelope
    ├── LinkError                there is no link
    │   ├── Unreachable          no node answered at that address
    │   └── Refused              a node answered, and did not let us in
    │       └── RefusedForNow    because it cannot tell who we are, or has no room: try again
    ├── ServiceFailed            a service says that it cannot go on: restart it
    ├── RestartLimit             restarting it did not help
    └── SettingsError            stack.toml, a key file, a port: what the operator can mend

A program branches on the class; the text is for the person. No text holds a secret.
"""

import traceback
from collections.abc import Iterator, Sequence
from typing import Any


class AlknetError(Exception):
    """The root: catch it to catch everything that alknet raises on purpose."""


class CallError(AlknetError):
    """An operation gave no answer.

    The same class is raised whether the service is in this process or across the world, so a
    caller never needs to know which. `retryable` says that the same request may succeed later.
    """

    code: str = "INTERNAL"
    retryable: bool = False
    details: dict[str, Any] | None = None

    def __init__(
        self,
        message: str = "",
        *,
        details: dict[str, Any] | None = None,
        retryable: bool | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if details is not None:
            self.details = details
        if retryable is not None:
            self.retryable = retryable

    @property
    def message(self) -> str:
        """The sentence for the person who reads it."""
        return str(self.args[0]) if self.args else ""


class InvalidInput(CallError, ValueError):
    """The request makes no sense as it stands; asking again unchanged will not help."""

    code = "INVALID_INPUT"


class BadMnemonic(InvalidInput):
    """The recovery phrase is not one; `details["word"]`, from 1, is the word at fault if one is."""


class BadShare(InvalidInput):
    """The share is none, or does not help; `details["word"]`, from 1, is the word to look at."""


class BadPath(InvalidInput):
    """The derivation path cannot be read; `details["position"]` counts characters from 0."""


class BadKey(InvalidInput):
    """The public, private or extended key is not one."""


class BadCiphertext(InvalidInput):
    """The value is not EncryptedData: a field is missing, is not base64 or has a wrong length."""


class InvalidOperationType(CallError):
    """The operation exists, but has another shape: a stream was called, or a request streamed."""

    code = "INVALID_OPERATION_TYPE"


class BadSignature(CallError):
    """The signature is not by that key over that message."""

    code = "BAD_SIGNATURE"


class DecryptionFailed(CallError):
    """The key, the associated data or the ciphertext is not what it was when it was sealed.

    AES-GCM cannot tell which, and neither can we.
    """

    code = "DECRYPTION_FAILED"


class NotFound(CallError):
    """No such operation, node or record; also what an internal operation answers from outside."""

    code = "NOT_FOUND"


class Conflict(CallError):
    """The record is not as the caller took it to be: it exists, has changed, or is referred to.

    Read it anew and decide again; `details["version"]` is its version now, where it has one.
    """

    code = "CONFLICT"


class Unauthenticated(CallError):
    """The operation wants to know who calls, and nobody has said."""

    code = "UNAUTHENTICATED"


class Forbidden(CallError):
    """The caller is known and may not; the message names the missing scope."""

    code = "FORBIDDEN"


class Locked(CallError):
    """The vault is locked; nothing can be derived until it is unlocked."""

    code = "LOCKED"


class AlreadyUnlocked(CallError):
    """The vault holds a seed already; lock it before unlocking with another."""

    code = "ALREADY_UNLOCKED"


class DeadlineExceeded(CallError, TimeoutError):
    """The answer did not come in time; the handler has been cancelled."""

    code = "TIMEOUT"
    retryable = True


class Aborted(CallError):
    """The call was ended on purpose before it had an answer."""

    code = "ABORTED"


class RateLimited(CallError):
    """Asked too often; `details["retry_after"]` is in seconds."""

    code = "RATE_LIMITED"
    retryable = True


class SlowConsumer(CallError):
    """A subscription was not read fast enough and has been ended; resume from its cursor."""

    code = "SLOW_CONSUMER"
    retryable = True


class Unavailable(CallError):
    """The service cannot answer now: it is starting, stopping or too busy."""

    code = "UNAVAILABLE"
    retryable = True


class Disconnected(Unavailable):
    """The link was lost while the call was in flight; whether it was carried out is not known."""

    retryable = False


class Internal(CallError):
    """A fault of ours. The log of the answering node has the cause, under the id in the message."""

    code = "INTERNAL"


class UnknownCode(Internal):
    """A peer's error with a code that nobody here has declared: nothing may be built upon it.

    Its own `code` is INTERNAL and it is not retryable; `sent` is the error as the peer put it, for
    who passes it on or knows better.
    """

    def __init__(self, sent: CallError) -> None:
        super().__init__(sent.message, details=sent.details)
        self.sent = sent


class ProtocolError(AlknetError):
    """Bytes that break the rules of the wire."""


class LocalProtocolError(ProtocolError):
    """We were asked to send something that the wire does not allow."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the wire does not allow; the link is closed.

    `events` are those that were whole before the fault in the same bytes, so that no answer that
    did arrive is lost.
    """

    events: Sequence[Any] = ()


class FrameTooLarge(RemoteProtocolError):
    """The peer announced a frame above the limit; nothing of it was read."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"the peer announced a frame of {size} bytes and the limit is {limit} "
            f"(raise `frame_bytes` under [limits] in stack.toml on both sides)"
        )
        self.size = size
        self.limit = limit


class MalformedEnvelope(RemoteProtocolError):
    """An envelope cannot be read; `offset` is where in its bytes, `reason` is why."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"malformed envelope at byte {offset}: {reason}")
        self.reason = reason
        self.offset = offset


class LinkError(AlknetError):
    """There is no link to the peer."""


class Unreachable(LinkError):
    """No node answered at that address, or not in time."""


class Refused(LinkError):
    """A node answered and did not let us in, or is not the one we expect."""


class RefusedForNow(Refused):
    """A node answered and cannot let us in as things are there: try again."""


class ServiceFailed(AlknetError):
    """Raised by a handler whose service cannot go on: the supervisor restarts it."""


class RestartLimit(AlknetError):
    """A service failed so often that restarting it does not help; its last error is the cause."""


class SettingsError(AlknetError):
    """What the operator wrote, or the machine, does not let the node start as asked."""


def traced(error: BaseException, *, is_confidential: bool = False) -> str:
    """Return the traceback of *error* as text for a log: lines of code, never their values.

    Logging libraries like to show local variables with a traceback; ours hold requests. The error's
    own words are left out too where the call *is_confidential*: they may quote what it was about.
    """
    if not is_confidential:
        return "".join(traceback.format_exception(error))
    return "".join(_without_words(error, set()))


def _without_words(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Yield the lines of the traceback of *error* and of what led to it, without their messages."""
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _without_words(before, seen)
        yield "\nwhich led to\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__qualname__}: <not shown: the call was confidential>\n"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _without_words(each, seen)


def first_of(error: BaseException) -> BaseException:
    """Return the first error in a group of groups, or *error* itself if it is no group."""
    return first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _walk(root: type[CallError]) -> list[type[CallError]]:
    found = []
    for child in root.__subclasses__():
        found += [child, *_walk(child)]
    return found


# The first class of a code, from the root down, stands for it: a remote BadPath arrives as the
# InvalidInput that it is, with the same sentence.
_BY_CODE: dict[str, type[CallError]] = {}
for _class in _walk(CallError):
    _BY_CODE.setdefault(_class.code, _class)

# The codes that operations have declared in this process, beside those that have a class here.
_declared: set[str] = set()


def class_of(code: str) -> type[CallError] | None:
    """Return the class that stands for *code*; None for one that only operations declare."""
    return _BY_CODE.get(code)


def declare(code: str) -> None:
    """Have *code* known in this process: an operation that it knows of may answer with it."""
    _declared.add(code)


def from_wire(
    code: str, message: str, *, retryable: bool = False, details: dict[str, Any] | None = None
) -> CallError:
    """Return the error that a peer's `call.error` stands for.

    A code that has no class, but that an operation known here declares, is a CallError with that
    `code`. Any other is an UnknownCode, which is an Internal and not retryable, whatever the peer
    says.
    """
    known = _BY_CODE.get(code)
    if known is not None:
        return known(message, retryable=retryable, details=details)
    sent = CallError(message, code=code, retryable=retryable, details=details)
    return sent if code in _declared else UnknownCode(sent)
