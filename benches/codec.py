"""The envelope codec: bytes to a header of typed fields and an input of a typed Struct.

The peer is msgspec with one Struct for the whole envelope, the input nested in it. That is a lead
given to the peer: a program that serves more than one operation cannot know the type of the input
before it has read the header.

`envelope_decode` falls short of its goal, and this is the limit. Of the 0.42 us that a request
takes, `perf` finds 56 % in libpython, making and freeing the event, its five strings and numbers
and the raw input; 33 % in our parser and the binding, 6 % in msgspec's second call, which reads
the input. The peer makes the same objects in one call, so only the parser's third is ours to win,
and nothing in it stands out. `envelope_in_two_steps` takes that lead away. `envelope_frames` stops
at the same wall: one object a frame less than the peer, and no second pass over the stream.
"""

import itertools
import struct
from collections.abc import Callable
from uuid import UUID

import msgspec

from alknet._core.envelope import CallRequested, Decoder, Encoder, Event
from benches.harness import Pair, row

CALLS = 100
FRAMES = 1000
OPERATIONS = (
    "head/secrets/derive",
    "head/auth/verify",
    "worker-7/storage/append",
    "head/config/get",
)


class Input(msgspec.Struct):
    """What `secrets/derive` takes."""

    path: str


class Payload(msgspec.Struct):
    """Every field that the header of a request can have, as our decoder reads every one."""

    operationId: str  # noqa: N815 - the name on the wire
    input: Input
    deadline: int | None = None
    parentRequestId: str | None = None  # noqa: N815 - the name on the wire
    auth_token: str | None = None
    forwarded_for: msgspec.Raw | None = None
    metadata: msgspec.Raw | None = None
    window: int | None = None
    idleTimeout: int | None = None  # noqa: N815 - the name on the wire
    traceparent: str | None = None
    hops: int | None = None


class Envelope(msgspec.Struct):
    type: str
    id: str
    payload: Payload


class Header(Payload):
    """The same with an input that is left as it came, until its type is known."""

    input: msgspec.Raw  # type: ignore[assignment] # the other type is the point


class HeaderEnvelope(msgspec.Struct):
    type: str
    id: str
    payload: Header


def _request(encoder: Encoder, number: int, raw: bytes) -> None:
    """One request of 307 bytes in JSON: a nested call, with a deadline, traced."""
    encoder.requested(
        str(UUID(int=0x9B2E4F6A_1C3D_4E5F_8A7B << 48 | number)),
        "/" + OPERATIONS[number % len(OPERATIONS)],
        raw,
        deadline_ms=1_790_000_000_000 + number,
        parent_id=str(UUID(int=0x1F0E2D3C_4B5A_4697_8796 << 48 | number)),
        traceparent=f"00-4bf92f3577b34da6a3ce929d0e0e4736-{number:016x}-01",
    )


def _fields(event: Event, argument: Input) -> tuple[object, ...]:
    assert isinstance(event, CallRequested)
    header = (event.id, event.operation, event.deadline_ms, event.parent_id, event.traceparent)
    return (*header, argument)


def _peer_fields(envelope: Envelope) -> tuple[object, ...]:
    payload = envelope.payload
    header = (envelope.id, payload.operationId, payload.deadline, payload.parentRequestId)
    return (*header, payload.traceparent, payload.input)


INPUT = Input(path="m/74'/0'/0'/0'")


def _one_request() -> bytes:
    encoder = Encoder("json", framed=False)
    _request(encoder, 0, msgspec.json.encode(INPUT))
    [data] = encoder.take()
    return data


def _decode(data: bytes) -> Callable[[], None]:
    """Return what reads the request in *data*, header and input, CALLS times."""
    decode_envelope = Decoder("json", framed=False).decode
    decode_input = msgspec.json.Decoder(Input).decode

    def decode() -> None:
        for _ in itertools.repeat(None, CALLS):
            event = decode_envelope(data)
            decode_input(event.input)  # type: ignore[union-attr] # it is a request

    return decode


@row("envelope_decode", peer="msgspec Struct", goal=1.2)
def envelope_decode() -> Pair:
    data = _one_request()
    decode_input = msgspec.json.Decoder(Input).decode
    decode = msgspec.json.Decoder(Envelope).decode

    def peer() -> None:
        for _ in itertools.repeat(None, CALLS):
            decode(data)

    def same() -> bool:
        event = Decoder("json", framed=False).decode(data)
        assert isinstance(event, CallRequested)
        return _fields(event, decode_input(event.input)) == _peer_fields(decode(data))

    return Pair(_decode(data), peer, divisor=CALLS, same=same)


@row("envelope_in_two_steps", peer="msgspec, header first", goal=1.1)
def envelope_in_two_steps() -> Pair:
    data = _one_request()
    decode_input = msgspec.json.Decoder(Input).decode
    decode_header = msgspec.json.Decoder(HeaderEnvelope).decode

    def peer() -> None:
        for _ in itertools.repeat(None, CALLS):
            envelope = decode_header(data)
            decode_input(envelope.payload.input)

    return Pair(_decode(data), peer, divisor=CALLS)


@row("envelope_frames", peer="msgspec Struct loop", goal=2)
def envelope_frames() -> Pair:
    encoder = Encoder("msgpack", framed=True)
    for number in range(FRAMES):
        _request(encoder, number, msgspec.msgpack.encode(INPUT))
    [stream] = encoder.take()
    feed = Decoder("msgpack", framed=True).feed
    decode_input = msgspec.msgpack.Decoder(Input).decode
    decode = msgspec.msgpack.Decoder(Envelope).decode
    prefix = struct.Struct(">I").unpack_from

    def ours() -> tuple[list[Event], list[Input]]:
        events = feed(stream)
        return events, [decode_input(event.input) for event in events]  # type: ignore[union-attr]

    def peer() -> list[Envelope]:
        envelopes = []
        at, end = 0, len(stream)
        while at < end:
            [length] = prefix(stream, at)
            at += 4
            envelopes.append(decode(stream[at : at + length]))
            at += length
        return envelopes

    def same() -> bool:
        pairs = zip(*ours(), strict=True)
        return [_fields(*pair) for pair in pairs] == [_peer_fields(one) for one in peer()]

    return Pair(ours, peer, divisor=FRAMES, same=same)
