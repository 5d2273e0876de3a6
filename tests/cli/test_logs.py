"""Logs: JSON for programs, lines for people, and in neither what a variable held."""

import os
import subprocess
import sys

import msgspec
import pytest

from .command import environment

PROGRAM = """
import logging, structlog
from alknet.cli import logs

logs.configure(level=LEVEL)
log = structlog.get_logger("alknet.test")

def fail():
    phrase = "".join(["hun", "ter2"])
    raise ValueError("so it is") from None

try:
    fail()
except ValueError:
    log.error("it failed", peer="grüße", exc_info=True)
    logging.getLogger("elsewhere").warning("heard %s", "this", exc_info=True)
log.info("it goes on")
logging.getLogger("trio-websocket").info("chatter")
"""


def run(level, stderr=subprocess.PIPE):
    program = PROGRAM.replace("LEVEL", repr(level))
    return subprocess.run(
        [sys.executable, "-c", program], stderr=stderr, env=environment(), check=True
    )


def test_a_program_gets_a_line_of_json_for_each_event():
    done = run("info")

    failed, heard, goes_on = map(msgspec.json.decode, done.stderr.splitlines())
    assert failed.pop("exception").endswith("ValueError: so it is")
    assert heard.pop("exception").endswith("ValueError: so it is")
    assert failed.pop("timestamp").endswith("Z")
    assert failed == {
        "event": "it failed",
        "level": "error",
        "logger": "alknet.test",
        "peer": "grüße",
    }
    assert (heard["event"], heard["logger"]) == ("heard this", "elsewhere")
    assert goes_on["event"] == "it goes on"


@pytest.mark.parametrize(("level", "lines"), [("debug", 3), ("error", 1), ("critical", 0)])
def test_only_what_is_asked_for_is_logged(level, lines):
    assert len(run(level).stderr.splitlines()) == lines


def test_what_a_variable_held_is_logged_for_no_program():
    assert b"hunter2" not in run("debug").stderr


def test_what_a_variable_held_is_logged_for_no_person():
    terminal, other_end = os.openpty()
    run("debug", stderr=other_end)
    os.close(other_end)
    with open(terminal, "rb", buffering=0) as shown:
        text = shown.read(65_536).decode()

    assert "it failed" in text
    assert "ValueError: so it is" in text
    assert "hunter2" not in text
