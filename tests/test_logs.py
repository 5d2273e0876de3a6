"""Logs: a line for whoever reads them, with who and where, and never with a secret."""

import io
import json
import logging
import sys
from contextlib import suppress

import pytest
import structlog
import trio

from alknet import Context, Request, Service, handler, logs, operation
from alknet.errors import CallError, Internal, traced
from alknet.protocol.secret import Unlock, VaultStatus

from .echo import Echo, Fail, Hold, Say, Shout
from .linked import linked, running
from .people import ALICE, NOBODY_MUCH, PHRASE

FACTS = {"operation", "request_id", "parent_id", "peer", "caller", "trace"}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def restored(monkeypatch):
    """Put the logging of this process back as it was."""
    # A logger that was cached on its first use here would log here in every later test, too.
    configured = structlog.configure

    def uncached(**settings):
        configured(**(settings | {"cache_logger_on_first_use": False}))

    monkeypatch.setattr(structlog, "configure", uncached)
    root = logging.root
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    yield
    root.handlers[:], level, logging.raiseExceptions = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def logged(restored, monkeypatch):
    """Configure logging to a program, or to a terminal, and return what reads what it says."""

    def configure(level="info", stream=None):
        written = stream or io.StringIO()
        monkeypatch.setattr(sys, "stderr", written)
        logs.configure(level=level)
        return written

    return configure


def lines(written):
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_program_reads_one_json_object_a_line(logged):
    written = logged()
    structlog.get_logger("alknet.test").info("one\ntwo", peer="\x1b[31m")
    logging.getLogger("somebody.else").warning("three")

    ours, theirs = lines(written)
    assert (ours["event"], ours["level"], ours["logger"]) == ("one\ntwo", "info", "alknet.test")
    assert (theirs["event"], theirs["level"]) == ("three", "warning")
    assert "\x1b" not in written.getvalue()


def test_a_person_reads_lines_without_what_is_unknown_or_a_terminal_would_obey(logged, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    written = logged(stream=Terminal())
    structlog.get_logger().info("hello", peer=None, request_id="\x1b]0;owned\x07", caller="alice")

    line = written.getvalue()
    assert "hello" in line
    assert "caller=alice" in line
    assert "peer" not in line
    assert "\x1b" not in line
    assert "\x07" not in line


def test_a_person_reads_a_cause_line_by_line(logged, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    written = logged(stream=Terminal())
    structlog.get_logger().error("it failed", cause=traced(ZeroDivisionError("by zero\x1b[2J")))

    assert "\nZeroDivisionError: by zero\\x1b[2J" in written.getvalue()


@pytest.mark.parametrize(
    ("level", "heard"),
    [("debug", ["a", "b", "c"]), ("info", ["b", "c"]), ("error", ["c"])],
)
def test_what_is_below_the_level_is_not_logged(logged, level, heard):
    written = logged(level)
    log = structlog.get_logger("alknet.test")
    log.debug("a")
    log.info("b")
    log.error("c")

    assert [line["event"] for line in lines(written)] == heard


def test_a_log_that_cannot_be_written_ends_nothing(logged):
    class Broken(io.StringIO):
        def write(self, _):
            raise OSError("no space left")

    logged(stream=Broken())

    structlog.get_logger().error("nobody will know")


# Secrets.


@operation("secrets/open", confidential=True)
class Open(Request[None], frozen=True):
    """Crash over `phrase`, in the caller's task."""

    phrase: str


class Broken(Service, namespace="secrets"):
    """Crashes over the phrase it is given, with the phrase in its locals and in its words."""

    @handler
    async def unlock(self, request: Unlock) -> VaultStatus:
        words = request.phrase.split()
        try:
            raise KeyError(request.phrase)
        except KeyError as error:
            raise ExceptionGroup(f"over {words}", [ValueError(request.phrase)]) from error

    @handler(concurrent=True)
    def open(self, request: Open, context: Context) -> None:
        phrase = request.phrase
        raise RuntimeError(f"{phrase} {context}")


@pytest.fixture(params=["as structlog comes", "for a program", "for a person"])
def everything_logged(request, logged, capsys, monkeypatch):
    """Log at the lowest level; yields what returns all that was written, anywhere."""
    streams = []
    if request.param == "as structlog comes":
        structlog.reset_defaults()
    elif request.param == "for a program":
        streams.append(logged("debug"))
    else:
        streams.append(logged("debug", Terminal()))

    def read():
        captured = capsys.readouterr()
        return "".join([captured.out, captured.err, *(each.getvalue() for each in streams)])

    return read


@pytest.mark.parametrize("request_", [Unlock(PHRASE), Open(PHRASE)], ids=["mailbox", "inline"])
@pytest.mark.parametrize("is_remote", [False, True], ids=["here", "there"])
async def test_a_handler_that_crashes_over_a_phrase_does_not_log_it(
    everything_logged, request_, is_remote
):
    identity = type(ALICE)("root", frozenset({"*"}))
    async with running(Broken()) as dispatcher, linked(dispatcher, identity=identity) as link:
        client = link.client if is_remote else dispatcher.client(identity)
        with pytest.raises(Internal) as caught:
            await client.call(request_)

    said = everything_logged()
    assert "handler failed" in said
    assert str(caught.value).rpartition(" ")[2] in said, "the cause cannot be found by its id"
    assert "raise" in said, "the lines of code are missing"
    for word in ("abandon", "about"):
        assert word not in said
        assert word not in str(caught.value)


async def test_details_that_cannot_be_written_are_not_logged_either(everything_logged):
    class Detailed(Service, namespace="secrets"):
        @handler
        async def unlock(self, request: Unlock) -> VaultStatus:
            raise CallError("no", details={"phrase": request.phrase, "what": object()})

    identity = type(ALICE)("root", frozenset({"*"}))
    async with running(Detailed()) as dispatcher, linked(dispatcher, identity=identity) as link:
        with pytest.raises(CallError, match="no"):
            await link.client.call(Unlock(PHRASE))

    said = everything_logged()
    assert "details lost" in said
    assert "abandon" not in said


def test_a_confidential_cause_shows_the_whole_road_and_no_words():
    def first():
        raise KeyError("hunter2")

    def second():
        try:
            first()
        except KeyError as error:
            raise ExceptionGroup("hunter2", [OSError("hunter2"), ValueError("hunter2")]) from error

    try:
        second()
    except ExceptionGroup as error:
        error.__cause__.__cause__ = error  # a ring must end
        said = traced(error, is_confidential=True)

    assert "hunter2" not in said.replace('"hunter2"', "")  # the lines of code are those above
    for kind in ("KeyError", "ExceptionGroup", "OSError", "ValueError"):
        assert f"{kind}: <not shown" in said
    assert said.index("KeyError: ") < said.index("which led to") < said.index("ExceptionGroup: ")


# The access log.


async def served(dispatcher, *requests, identity=ALICE):
    async with linked(dispatcher, identity=identity) as link:
        for request in requests:
            with suppress(CallError):
                await link.client.call(request)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.client.call, Hold())
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()


async def test_every_call_from_a_link_has_one_line_at_debug(logged):
    written = logged("debug")
    async with running(Echo()) as dispatcher:
        await served(dispatcher, Say("hunter2"), Fail(), Shout("hunter2"), identity=NOBODY_MUCH)
        await dispatcher.client(ALICE).call(Say("from here"))

    found = [line for line in lines(written) if line["logger"] == "alknet.access"]
    outcomes = [(line["operation"], line["outcome"]) for line in found]
    assert outcomes == [
        ("echo/say", "OK"),
        ("echo/fail", "NOT_FOUND"),
        ("echo/shout", "FORBIDDEN"),
        ("echo/hold", "ABORTED"),
    ]
    for line in found:
        assert line.keys() >= FACTS
        assert (line["event"], line["level"]) == ("call", "debug")
        assert line["peer"] == "nobody-much"
        assert line["caller"] in ("nobody-much", None)  # who is refused is nobody's caller
    assert all(line["seconds"] >= 0 for line in found)
    assert "hunter2" not in written.getvalue()


@pytest.mark.parametrize("request_", [Say("hi"), Fail(badly=True)], ids=["answered", "crashed"])
async def test_a_log_that_cannot_be_written_costs_no_call_its_outcome(restored, request_):
    class Full(io.StringIO):
        def write(self, _):
            raise OSError("no space left")

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(Full()))
    async with running(Echo()) as dispatcher, linked(dispatcher) as link:
        for client in (dispatcher.client(ALICE), link.client):
            for _ in range(2):
                with suppress(Internal), trio.fail_after(1):
                    await client.call(request_)
            assert await client.call(Shout("still there")) == "STILL THERE"


@pytest.mark.parametrize("how", ["a higher level", "nothing configured"])
async def test_where_nobody_reads_them_no_line_is_made(logged, capsys, how):
    written = logged("info")
    if how == "nothing configured":
        structlog.reset_defaults()
    async with running(Echo()) as dispatcher:
        await served(dispatcher, Say("hi"))

    assert "echo/say" not in written.getvalue() + capsys.readouterr().out
