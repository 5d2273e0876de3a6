"""Addresses: which URLs mean a transport, and what the others are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.errors import SettingsError
from alknet.transport.address import Address, in_words, is_loopback


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("ws://localhost", "ws://localhost:8480"),
        ("wss://head.example", "wss://head.example:8443"),
        ("tcp://10.0.0.1", "tcp://10.0.0.1:8481"),
        ("ws://127.0.0.1:0", "ws://127.0.0.1:0"),
        ("ws://[::1]:7000", "ws://[::1]:7000"),
        ("ws://HEAD.example:1/alknet/call", "ws://head.example:1/alknet/call"),
        ("dns://9.9.9.9/t.example.org", "dns://9.9.9.9:53/t.example.org"),
        ("dns://127.0.0.1:5353/t.example.org", "dns://127.0.0.1:5353/t.example.org"),
        ("dns:///t.example.org", "dns:///t.example.org"),
    ],
)
def test_an_address_prints_as_the_url_it_is(url, printed):
    assert str(Address.parse(url)) == printed
    assert str(Address.parse(printed)) == printed


def test_the_port_that_was_bound_takes_the_place_of_the_one_asked_for():
    assert str(Address.parse("ws://[::1]:0").at(7000)) == "ws://[::1]:7000"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "http://localhost",
            "'http://localhost' should read ws://host:port, wss://, tcp://, tls://, ssh:// or quic://",
        ),
        ("localhost:8480", "should read ws://host:port"),
        ("dns://tunnel.example.org", "should read dns://resolver/zone, or dns:///zone"),
        ("dns:///", "should read dns://resolver/zone, or dns:///zone"),
        ("ws://", "'ws://' should read ws://host:port"),
        ("", "'' should read ws://host:port"),
        ("ws://host:99999", "'ws://host:99999' is no URL: Port out of range"),
        ("ws://host:port", "'ws://host:port' is no URL: Port could not be cast"),
        ("ws://[::1", "'ws://[::1' is no URL"),
    ],
)
def test_a_url_that_means_no_transport_is_told_what_one_looks_like(url, words):
    with pytest.raises(SettingsError) as caught:
        Address.parse(url)
    assert words in str(caught.value)


@given(st.text(max_size=40))
def test_no_text_does_worse_than_being_refused(url):
    try:
        address = Address.parse(url)
    except SettingsError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        ("127.0.0.1:80", True),
        ("127.9.9.9:80", True),
        ("[::1]:80", True),
        ("localhost:80", True),
        ("10.0.0.1:80", False),
        ("[::]:80", False),
        ("0.0.0.0:80", False),
        ("localhost.example:80", False),
        ("example:80", False),
        ("", False),
        ("unknown:0", False),
    ],
)
def test_only_loopback_never_leaves_the_machine(address, stays):
    assert is_loopback(address) is stays


def test_what_the_system_said_is_put_in_words():
    inner = OSError(98, "Address already in use")
    outer = OSError("wrapped")
    outer.__cause__ = ExceptionGroup("several", [inner, OSError("another")])

    assert in_words(inner) == "address already in use"
    assert in_words(outer) == "address already in use"
    assert in_words(ConnectionResetError()) == "connectionreseterror"
