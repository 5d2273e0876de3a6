"""`alknet demo`: every answer is checked, a wrong one is shown, and nothing stays behind."""

import signal
from pathlib import Path

import pytest
import trio

from alknet.cli.demo import steps
from alknet.cli.demo.show import show
from alknet.cli.demo.steps import STEPS, Step, Unexpected, check
from alknet.cli.failure import Failure

from .command import alknet, environment, running
from .typist import typist


@pytest.fixture
def temporary(tmp_path):
    """An environment whose temporary directory is empty."""
    return environment(TMPDIR=str(tmp_path), COLUMNS="80")


def left_behind(tmp_path):
    return [path.name for path in tmp_path.iterdir()]


async def test_it_shows_every_step_and_leaves_nothing(temporary, tmp_path):
    done = await alknet("demo", env=temporary)

    title, *rows = done.stdout.splitlines()
    assert (done.code, done.stderr) == (0, "")
    assert title.split() == ["who", "what", "happens", "what", "came", "back", "ms"]
    for number, (row, step) in enumerate(zip(rows, STEPS, strict=False), start=1):
        assert row.split()[:2] == [str(number), step.who]
        assert step.title in row
    assert f"{len(STEPS)} steps in" in done.stdout
    assert "\x1b" not in done.stdout
    assert left_behind(tmp_path) == []


async def test_a_person_sees_it_grow(temporary, tmp_path):
    async with typist("demo", env={**temporary, "TERM": "xterm"}) as person:
        await person.sees(STEPS[0].title.split()[0])
        done = await person.leaves()

    assert done.code == 0
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGHUP, -1)]
)
async def test_it_cleans_up_when_interrupted(temporary, tmp_path, number, code):
    async with running("demo", env=temporary) as demo:
        with trio.fail_after(10):
            while not list(tmp_path.glob("*/head.log")):
                await trio.lowlevel.checkpoint()
        done = await demo.end(number)

    assert done.code == code
    assert "Traceback" not in done.stderr
    assert left_behind(tmp_path) == []
    assert not _processes_in(tmp_path)


def _processes_in(directory):
    """Return the command lines of the processes that name *directory*."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if str(directory).encode() in command and b"pytest" not in command:
            found.append(command)
    return found


async def fails(_):
    check("the answer", 41, 42)
    return "41"


async def checks_nothing(_):
    return "something"


async def crashes(_):
    raise Failure("the worker ended: it said nothing")


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (fails, "step 1, 'Do it': the answer: expected 42, found 41"),
        (checks_nothing, "step 1, 'Do it': it checked nothing"),
        (crashes, "step 1, 'Do it': the worker ended: it said nothing"),
    ],
    ids=["fails", "checks nothing", "crashes"],
)
async def test_a_step_that_finds_something_else_ends_it(capfd, act, sentence):
    with pytest.raises(Failure) as caught:
        await show([Step("Do it", "worker", act), *STEPS])

    assert str(caught.value) == sentence
    (row,) = capfd.readouterr().out.splitlines()[1:]
    assert row.split()[:5] == ["1", "worker", "Do", "it", "FAILED"]


async def test_a_refusal_that_does_not_come_is_unexpected():
    async def answers():
        return "yes"

    with pytest.raises(Unexpected, match="expected to be refused with LOCKED, found the answer"):
        await steps.refusal(answers(), "LOCKED")
