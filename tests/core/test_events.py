"""Event classes: frozen values that a match statement takes apart."""

import gc
import re
import sys

import pytest

from alknet._core.envelope import (
    JSON,
    MSGPACK,
    CallAborted,
    CallCompleted,
    CallCredit,
    CallFailed,
    CallFinished,
    CallItem,
    CallRequested,
    CallResponded,
    Event,
    LinkPing,
    LinkPong,
    UnknownEvent,
)

REQUEST = CallRequested(
    id="7",
    operation="/head/secrets/derive",
    input=b'{"path":"m"}',
    format="json",
    deadline_ms=1_790_000_000_000,
    parent_id="6",
    auth_token="hunter2",
    forwarded_for=b"{}",
    metadata=b"[]",
    window=8,
    idle_timeout_ms=500,
    traceparent="00-0-0-01",
    hops=1,
)

ALL = [
    REQUEST,
    CallResponded(id="7", output=b"1", format="json"),
    CallCompleted(id="7"),
    CallAborted(id="7"),
    CallFailed(id="7", code="NOT_FOUND", message="no", retryable=True, details=b"{}"),
    CallCredit(id="7", items=3),
    CallItem(id="7", item=b"\x01", format="msgpack"),
    CallFinished(id="7"),
    LinkPing(id="7"),
    LinkPong(id="7"),
    UnknownEvent(type="call.later", id="7"),
]


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (REQUEST, "CallRequested(id='7', operation='/head/secrets/derive')"),
        (ALL[1], "CallResponded(id='7')"),
        (ALL[2], "CallCompleted(id='7')"),
        (ALL[3], "CallAborted(id='7')"),
        (ALL[4], "CallFailed(id='7', code='NOT_FOUND', message='no', retryable=True)"),
        (ALL[5], "CallCredit(id='7', items=3)"),
        (ALL[6], "CallItem(id='7')"),
        (ALL[7], "CallFinished(id='7')"),
        (ALL[8], "LinkPing(id='7')"),
        (ALL[9], "LinkPong(id='7')"),
        (ALL[10], "UnknownEvent(type='call.later', id='7')"),
    ],
)
def test_repr_shows_what_identifies_an_event_and_no_payload_or_token(event, shown):
    assert repr(event) == shown


@pytest.mark.parametrize("event", ALL)
def test_an_event_equals_one_of_the_same_class_and_fields_only(event):
    fields = {name: getattr(event, name) for name in type(event).__match_args__}
    twin = type(event)(**fields)

    assert twin == event
    assert (twin != event) is False
    assert type(event)(**{**fields, "id": "8"}) != event
    assert all(event != other for other in ALL if other is not event)
    assert event != "7"


@pytest.mark.parametrize("event", ALL)
def test_an_event_is_frozen_unhashable_and_final(event):
    with pytest.raises(AttributeError):
        event.id = "8"
    with pytest.raises(AttributeError):
        event.other = 1
    with pytest.raises(TypeError):
        hash(event)
    with pytest.raises(TypeError):
        type("Sub", (type(event),), {})


@pytest.mark.parametrize("event", ALL)
def test_the_garbage_collector_need_not_know_of_events(event):
    assert not gc.is_tracked(event)


def test_no_reference_is_lost_or_gained():
    """Slots do not count references to None, booleans and the names of the formats."""
    eternal = [None, True, False, JSON, MSGPACK]
    fields = [[getattr(event, name) for name in type(event).__match_args__] for event in ALL]
    before = [sys.getrefcount(value) for value in eternal]

    for _ in range(1000):
        for event, values in zip(ALL, fields, strict=True):
            twin = type(event)(*values)
            assert twin == event

    assert max(abs(sys.getrefcount(v) - n) for v, n in zip(eternal, before, strict=True)) < 100


def test_every_class_is_an_event():
    assert {type(event) for event in ALL} == set(Event.__args__)


def test_match_takes_an_event_apart_by_position_and_by_name():
    match ALL[5]:
        case CallCredit(id, items):
            assert (id, items) == ("7", 3)
    match REQUEST:
        case CallRequested(operation=operation, deadline_ms=int(deadline), hops=hops):
            assert (operation, deadline, hops) == ("/head/secrets/derive", 1_790_000_000_000, 1)


def test_what_is_left_out_has_its_default():
    request = CallRequested("1", "/x", b"{}")

    assert request.format == "json"
    optional = CallRequested.__match_args__[4:]
    assert [getattr(request, name) for name in optional] == [None] * 9
    assert CallFailed("1", "A", "b").retryable is False
    assert CallFailed("1", "A", "b").details is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LinkPing(), TypeError, 'LinkPing() needs an argument "id"'),
        (lambda: LinkPing(1), TypeError, 'LinkPing() wants str as "id", not int'),
        (lambda: LinkPing("1", "2"), TypeError, "LinkPing() takes 1 arguments, not 2"),
        (lambda: LinkPing("1", id="2"), TypeError, 'LinkPing() got "id" twice'),
        (lambda: LinkPing("1", x=1), TypeError, "LinkPing() got an argument that it does not have"),
        (
            lambda: CallItem("1", bytearray(b"1")),
            TypeError,
            'CallItem() wants bytes as "item", not bytearray',
        ),
        (
            lambda: CallRequested("1", "/x", b"1", hops="2"),
            TypeError,
            'CallRequested() wants int or None as "hops", not str',
        ),
        (
            lambda: CallItem("1", b"1", "xml"),
            ValueError,
            'the format is "json" or "msgpack", not "xml"',
        ),
    ],
)
def test_a_wrong_argument_is_named(make, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        make()
