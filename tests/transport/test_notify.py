"""sd_notify: systemd is told, and where there is none nothing is missed."""

import os
import re
import socket

import pytest
import trio

from alknet.transport.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A service manager's socket, and the variable that names it."""
    name = f"@alknet-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.setblocking(False)
        yield listener, {"NOTIFY_SOCKET": name}


def heard(listener):
    return listener.recv(4096).decode()


def test_it_is_told_what_becomes_of_the_node(manager):
    listener, environment = manager
    notifier = Notifier(environment)

    notifier.ready("head answers")
    assert heard(listener) == "READY=1\nSTATUS=head answers"
    notifier.reloading()
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", heard(listener))
    notifier.stopping()
    assert heard(listener) == "STOPPING=1"


async def test_it_hears_of_a_node_that_lives_twice_as_often_as_it_wants_to(manager, autojump_clock):
    listener, environment = manager
    notifier = Notifier({**environment, "WATCHDOG_USEC": "30000000"})
    with trio.move_on_after(59):
        await notifier.keep_alive()

    assert [heard(listener) for _ in range(4)] == ["WATCHDOG=1"] * 4
    with pytest.raises(BlockingIOError):
        heard(listener)


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_it_wants_to_hear(variables, seconds):
    assert Notifier(variables).watchdog == seconds


@pytest.mark.parametrize(
    "name", ["", "nonsense", "vsock:2:1", "/nowhere/at/all", "@nobody-listens"]
)
async def test_where_nobody_listens_nothing_is_missed(name):
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("head answers")
    notifier.stopping()
    await notifier.keep_alive()
