from typing import ClassVar, Final, Literal, TypeAlias, final

from typing_extensions import Buffer

__all__ = [
    "JSON",
    "MSGPACK",
    "CallAborted",
    "CallCompleted",
    "CallCredit",
    "CallFailed",
    "CallFinished",
    "CallItem",
    "CallRequested",
    "CallResponded",
    "Decoder",
    "Encoder",
    "Event",
    "LinkPing",
    "LinkPong",
    "UnknownEvent",
    "check",
    "transcode",
]

_Format: TypeAlias = Literal["json", "msgpack"]

JSON: Final = "json"
MSGPACK: Final = "msgpack"

@final
class CallRequested:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(
        cls,
        id: str,
        operation: str,
        input: bytes,
        format: _Format = "json",
        deadline_ms: int | None = None,
        parent_id: str | None = None,
        auth_token: str | None = None,
        forwarded_for: bytes | None = None,
        metadata: bytes | None = None,
        window: int | None = None,
        idle_timeout_ms: int | None = None,
        traceparent: str | None = None,
        hops: int | None = None,
    ) -> CallRequested: ...
    @property
    def id(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def input(self) -> bytes: ...
    @property
    def format(self) -> _Format: ...
    @property
    def deadline_ms(self) -> int | None: ...
    @property
    def parent_id(self) -> str | None: ...
    @property
    def auth_token(self) -> str | None: ...
    @property
    def forwarded_for(self) -> bytes | None: ...
    @property
    def metadata(self) -> bytes | None: ...
    @property
    def window(self) -> int | None: ...
    @property
    def idle_timeout_ms(self) -> int | None: ...
    @property
    def traceparent(self) -> str | None: ...
    @property
    def hops(self) -> int | None: ...

@final
class CallResponded:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, id: str, output: bytes, format: _Format = "json") -> CallResponded: ...
    @property
    def id(self) -> str: ...
    @property
    def output(self) -> bytes: ...
    @property
    def format(self) -> _Format: ...

@final
class CallCompleted:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, id: str) -> CallCompleted: ...
    @property
    def id(self) -> str: ...

@final
class CallAborted:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, id: str) -> CallAborted: ...
    @property
    def id(self) -> str: ...

@final
class CallFailed:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(
        cls,
        id: str,
        code: str,
        message: str,
        retryable: bool = False,
        details: bytes | None = None,
        format: _Format = "json",
    ) -> CallFailed: ...
    @property
    def id(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def retryable(self) -> bool: ...
    @property
    def details(self) -> bytes | None: ...
    @property
    def format(self) -> _Format: ...

@final
class CallCredit:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, id: str, items: int) -> CallCredit: ...
    @property
    def id(self) -> str: ...
    @property
    def items(self) -> int: ...

@final
class CallItem:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, id: str, item: bytes, format: _Format = "json") -> CallItem: ...
    @property
    def id(self) -> str: ...
    @property
    def item(self) -> bytes: ...
    @property
    def format(self) -> _Format: ...

@final
class CallFinished:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, id: str) -> CallFinished: ...
    @property
    def id(self) -> str: ...

@final
class LinkPing:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, id: str) -> LinkPing: ...
    @property
    def id(self) -> str: ...

@final
class LinkPong:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, id: str) -> LinkPong: ...
    @property
    def id(self) -> str: ...

@final
class UnknownEvent:
    __match_args__: ClassVar[tuple[str, ...]]
    def __new__(cls, type: str, id: str) -> UnknownEvent: ...
    @property
    def type(self) -> str: ...
    @property
    def id(self) -> str: ...

Event: TypeAlias = (
    CallRequested
    | CallResponded
    | CallCompleted
    | CallAborted
    | CallFailed
    | CallCredit
    | CallItem
    | CallFinished
    | LinkPing
    | LinkPong
    | UnknownEvent
)

@final
class Decoder:
    def __new__(
        cls,
        format: _Format,
        *,
        framed: bool,
        frame_bytes: int = 16777216,
        depth: int = 64,
        string_bytes: int = 16777216,
    ) -> Decoder: ...
    def feed(self, data: Buffer) -> list[Event]: ...
    def decode(self, data: Buffer) -> Event: ...
    @property
    def buffered(self) -> int: ...
    def completes_large(self, size: int) -> bool: ...
    @property
    def format(self) -> _Format: ...

@final
class Encoder:
    def __new__(
        cls,
        format: _Format,
        *,
        framed: bool,
        frame_bytes: int = 16777216,
        checked: bool = False,
    ) -> Encoder: ...
    def requested(
        self,
        id: str,
        operation: str,
        input: bytes,
        *,
        input_format: _Format | None = None,
        deadline_ms: int | None = None,
        parent_id: str | None = None,
        auth_token: str | None = None,
        forwarded_for: bytes | None = None,
        metadata: bytes | None = None,
        window: int | None = None,
        idle_timeout_ms: int | None = None,
        traceparent: str | None = None,
        hops: int | None = None,
    ) -> int: ...
    def responded(self, id: str, output: bytes, output_format: _Format | None = None) -> int: ...
    def completed(self, id: str) -> int: ...
    def aborted(self, id: str) -> int: ...
    def failed(
        self,
        id: str,
        code: str,
        message: str,
        retryable: bool = False,
        details: bytes | None = None,
        details_format: _Format | None = None,
    ) -> int: ...
    def credit(self, id: str, items: int) -> int: ...
    def item(self, id: str, item: bytes, item_format: _Format | None = None) -> int: ...
    def finished(self, id: str) -> int: ...
    def ping(self, id: str) -> int: ...
    def pong(self, id: str) -> int: ...
    def take(self) -> list[bytes]: ...
    @property
    def pending(self) -> int: ...
    @property
    def format(self) -> _Format: ...

def check(
    raw: bytes, format: _Format, *, depth: int = 64, string_bytes: int = 16777216
) -> None: ...
def transcode(
    raw: bytes,
    source: _Format,
    target: _Format,
    *,
    depth: int = 64,
    string_bytes: int = 16777216,
) -> bytes: ...
