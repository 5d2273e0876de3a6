"""SOCKS 5, the server's side, byte for byte as RFC 1928 has it."""

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.wire.socks import Command, Conversation, Denied, Reply, Wanted, reply

HELLO = b"\x05\x01\x00"
GREETED = b"\x05\x00"

REQUESTS = [
    (b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", Wanted("127.0.0.1", 80)),
    (b"\x05\x01\x00\x03\x0bexample.org\x01\xbb", Wanted("example.org", 443)),
    (
        b"\x05\x01\x00\x04" + ipaddress.IPv6Address("2001:db8::1").packed + b"\x00\x16",
        Wanted("2001:db8::1", 22),
    ),
    # RFC 1928, section 4: the reserved byte is zero; what clients put there is nothing to us.
    (b"\x05\x01\xff\x03\x01a\xff\xff", Wanted("a", 65535)),
]


def heard(conversation, chunks):
    return b"".join(map(conversation.receive, chunks))


@pytest.mark.parametrize(("request_", "wanted"), REQUESTS)
def test_a_client_says_where_it_wants_to_go(request_, wanted):
    conversation = Conversation()

    assert conversation.receive(HELLO) == GREETED
    assert conversation.wanted is None
    assert conversation.receive(request_) == b""
    assert conversation.wanted == wanted
    assert conversation.rest == b""


@given(
    methods=st.binary(max_size=254),
    request_=st.sampled_from(REQUESTS),
    behind=st.binary(max_size=40),
    data=st.data(),
)
def test_it_is_understood_however_it_is_cut(methods, request_, behind, data):
    raw, wanted = request_
    said = bytes((5, len(methods) + 1)) + methods + b"\x00" + raw + behind
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=12)))
    chunks = [said[a:b] for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    conversation = Conversation()

    assert heard(conversation, chunks) == GREETED
    assert (conversation.wanted, conversation.rest) == (wanted, behind)


@given(chunks=st.lists(st.binary(max_size=600), max_size=8))
def test_no_bytes_do_more_than_be_denied(chunks):
    conversation = Conversation()
    with suppress(Denied):
        for chunk in chunks:
            conversation.receive(chunk)
            # What is kept is never more than a greeting and a request.
            if conversation.wanted is None:
                assert len(conversation.rest) < 2 + 255 + 4 + 1 + 255 + 2


@pytest.mark.parametrize(
    ("said", "why", "answer"),
    [
        (b"\x04\x01\x00\x50", "SOCKS 4", b""),
        (b"GET / HTTP/1.1", "HTTP, it seems", b""),
        (b"CONNECT a:1", "HTTP, it seems", b""),
        (b"\x16\x03\x01", "begins with 22", b""),
        (b"\x05\x01\x02", "insists on a password", b"\x05\xff"),
        (b"\x05\x00", "insists on a password", b"\x05\xff"),
        (HELLO + b"\x05\x02\x00\x01", "not BIND", GREETED + reply(Reply.COMMAND_NOT_SUPPORTED)),
        (HELLO + b"\x05\x03", "not UDP_ASSOCIATE", GREETED + reply(Reply.COMMAND_NOT_SUPPORTED)),
        (HELLO + b"\x05\x09", "not command 9", GREETED + reply(Reply.COMMAND_NOT_SUPPORTED)),
        (HELLO + b"\x05\x01\x00\x02\x00", "type of address", GREETED + reply(Reply.ADDRESS_TYPE_NOT_SUPPORTED)),
        (HELLO + b"\x04\x01\x00", "SOCKS 4", GREETED + reply(Reply.FAILED)),
        (HELLO + b"\x05\x01\x00\x03\x00\x00\x50", "is empty", GREETED + reply(Reply.FAILED)),
        (HELLO + b"\x05\x01\x00\x03\x02\xc3\xa4\x00\x50", "is not ASCII", GREETED + reply(Reply.FAILED)),
        (HELLO + b"\x05\x01\x00\x03\x02a\n\x00\x50", "is not ASCII", GREETED + reply(Reply.FAILED)),
    ],
)  # fmt: skip
def test_what_is_not_served_is_denied_in_the_clients_own_words(said, why, answer):
    with pytest.raises(Denied, match=why) as caught:
        Conversation().receive(said)

    assert caught.value.answer == answer


@pytest.mark.parametrize(
    ("code", "address", "port", "raw"),
    [
        (Reply.SUCCEEDED, "127.0.0.1", 80, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"),
        (Reply.SUCCEEDED, "::1", 1, b"\x05\x00\x00\x04" + bytes(15) + b"\x01\x00\x01"),
        (Reply.SUCCEEDED, "fe80::1%eth0", 1, b"\x05\x00\x00\x04\xfe\x80" + bytes(13) + b"\x01\x00\x01"),
        (Reply.NOT_ALLOWED, "0.0.0.0", 0, b"\x05\x02\x00\x01" + bytes(6)),
    ],
)  # fmt: skip
def test_a_reply_reads_as_the_rfc_has_it(code, address, port, raw):
    assert reply(code, address, port) == raw


def test_the_commands_are_those_of_the_rfc():
    assert {each.name: each.value for each in Command} == {
        "CONNECT": 1,
        "BIND": 2,
        "UDP_ASSOCIATE": 3,
    }
