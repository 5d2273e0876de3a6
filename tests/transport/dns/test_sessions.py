"""Who gets a session, who does not, and what strangers cost."""

import pytest
import trio

from alknet.transport.dns.packet import (
    Ack,
    Ask,
    Bye,
    CarryDown,
    CarryUp,
    Gone,
    Offer,
    Open,
    Opened,
    Segment,
)
from alknet.transport.dns.sessions import MOST_HALF_OPEN, MOST_SESSIONS, Sessions


class Door:
    """A node's sessions, and what was begun and answered."""

    def __init__(self, *, silence=45.0):
        self.begun = []
        self.sessions = Sessions(self.begun.append, lambda: None, silence=silence)

    def say(self, packet, host="192.0.2.1"):
        answers = []
        self.sessions.take(packet, f"{host}:53", host, answers.append)
        return answers[0] if answers else None

    def open(self, number, host="192.0.2.1"):
        nonce = number.to_bytes(8, "big")
        id = self.say(Ask(nonce), host).id
        return id, self.say(Open(id, nonce, 0), host)


@pytest.fixture
def door():
    return Door()


async def test_a_session_is_opened_by_who_has_heard_what_was_offered(door):
    id, answer = door.open(1)
    assert answer == Opened()
    assert [session.id for session in door.begun] == [id]
    assert door.begun[0].stream.address == "192.0.2.1:53"


async def test_to_ask_for_an_id_leaves_nothing_behind(door):
    for number in range(1000):
        assert isinstance(door.say(Ask(number.to_bytes(8, "big"))), Offer)
    assert len(door.sessions) == 0


async def test_an_id_that_was_never_offered_opens_nothing(door):
    assert "never offered" in door.say(Open(bytes(8), bytes(8), 0)).reason
    assert door.begun == []


async def test_an_id_is_good_for_a_minute_or_two_and_for_one_session(door, autojump_clock):
    id = door.say(Ask(bytes(8))).id
    await trio.sleep(59)
    assert door.say(Open(id, bytes(8), 0)) == Opened()
    assert door.say(Open(id, bytes(8), 1)) == Opened()
    assert len(door.begun) == 1
    other = door.say(Ask(b"8 octets")).id
    await trio.sleep(121)
    assert "too long ago" in door.say(Open(other, b"8 octets", 0)).reason


async def test_what_nobody_knows_is_gone(door):
    answer = door.say(CarryUp(bytes(8), 0, 0, Ack(0, 0, 32), None))
    assert answer == Gone("the node knows of no such session: it was restarted, or idle")


async def test_strangers_have_so_many_sessions_and_no_more(door):
    for number in range(MOST_HALF_OPEN):
        assert door.open(number, f"192.0.2.{number}")[1] == Opened()
    _, refused = door.open(999)
    assert "as many sessions by DNS as it takes" in refused.reason
    for session in door.begun:
        session.entered()
    assert door.open(1000)[1] == Opened()
    assert len(door.sessions) <= MOST_SESSIONS


async def test_one_address_opens_so_many_at_once_and_more_later(door, autojump_clock):
    answers = []
    for number in range(100):
        answers.append(door.open(number)[1])
        if door.begun:
            door.begun[-1].entered()
    opened = answers.count(Opened())
    assert 50 < opened < 70
    assert "from this address" in answers[-1].reason
    await trio.sleep(1)
    assert door.open(1000)[1] == Opened()


async def test_a_session_that_asks_too_often_is_not_answered(door):
    id, _ = door.open(1)
    ack = Ack(0, 0, 32)
    answered = sum(
        door.say(CarryUp(id, number, 0, ack, None)) is not None for number in range(0, 6000, 2)
    )
    # The last is held; those above the rate were not even looked at.
    assert answered < 1100


async def test_an_address_that_asks_too_often_is_not_answered(door):
    assert sum(door.sessions.may_ask("192.0.2.1") for _ in range(5000)) < 2100
    assert door.sessions.may_ask("192.0.2.2")


async def test_answers_are_small_until_it_is_known_who_asks(door):
    id, _ = door.open(1)
    session = door.begun[0]
    session.stream.write(bytes(5000))
    ack = Ack(0, 0, 32)

    def carried(number):
        answer = door.say(CarryUp(id, number, number, ack, None))
        assert isinstance(answer, CarryDown)
        return len(answer.segment.data)

    assert carried(0) <= 96
    session.entered()
    assert carried(1) > 800


async def test_a_session_of_which_nothing_is_heard_ends(door, autojump_clock):
    id, _ = door.open(1)
    await trio.sleep(46)
    door.sessions.expire()
    assert door.begun[0].stream.ended == "nothing was heard of the peer for 45 s"
    answer = door.say(CarryUp(id, 0, 0, Ack(0, 0, 32), None))
    assert answer == Gone("nothing was heard of the peer for 45 s")


async def test_a_session_that_is_over_is_forgotten_after_a_while(door, autojump_clock):
    id, _ = door.open(1)
    door.say(Bye(id, 1))
    assert door.begun[0].stream.ended == "the peer has closed it"
    await door.sessions.forget(door.begun[0])
    assert len(door.sessions) == 0


async def test_a_node_that_stops_opens_none(door):
    door.sessions.is_open = False
    assert "is stopping" in door.open(1)[1].reason


async def test_what_has_come_is_read_though_the_session_is_over(door):
    id, _ = door.open(1)
    stream = door.begun[0].stream
    door.say(CarryUp(id, 0, 0, Ack(0, 0, 32), Segment(0, b"last words")))
    door.say(Bye(id, 1))
    assert await stream.receive() == b"last words"
