"""The types are a promise: mypy and pyright accept and refuse exactly the marked lines.

A mark that is not reported fails as a report that is not marked does, so that a promise which has
been lost is noticed.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = ("accepted.py", "refused.py")
MARK = re.compile(r"#\s*error:\s*(?P<who>mypy|pyright)?\s*$")


def marked(name, checker):
    """Return the lines of the example that *checker* must report."""
    found = set()
    for number, line in enumerate((HERE / name).read_text().splitlines(), start=1):
        mark = MARK.search(line)
        if mark and mark["who"] in (None, checker):
            found.add(number)
    return found


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def reports():
    """Return what each checker says of each line: {checker: {(example, line): message}}."""
    done = run(
        "mypy",
        "--strict",
        "--show-error-codes",
        "--no-error-summary",
        "--hide-error-context",
        "--config-file=",
        *(str(HERE / name) for name in EXAMPLES),
    )
    line = re.compile(r"^(?:.*/)?(?P<file>\w+\.py):(?P<line>\d+): error: (?P<text>.*)$", re.M)
    assert not done.stderr, done.stderr
    mypy = {(each["file"], int(each["line"])): each["text"] for each in line.finditer(done.stdout)}
    done = run(
        "pyright",
        "--outputjson",
        # Else it asks the first python on the PATH, which need not be the one that alknet is in.
        "--pythonpath",
        sys.executable,
        *(str(HERE / name) for name in EXAMPLES),
    )
    pyright = {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"]
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    }
    return {"mypy": mypy, "pyright": pyright}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_checker_reports_the_marked_lines_and_no_others(reports, checker, name):
    reported = {at: text for (file, at), text in reports[checker].items() if file == name}
    expected = marked(name, checker)

    accepted = dict.fromkeys(expected - reported.keys(), "is accepted")
    refused = {at: text for at, text in reported.items() if at not in expected}
    assert (accepted, refused) == ({}, {})


def test_the_examples_refuse_something():
    assert len(marked("refused.py", "mypy")) > 50
    assert not marked("accepted.py", "mypy")


def test_the_examples_that_are_accepted_can_be_imported():
    """What is in the two modules is real: names that do not exist would be refused for that."""
    from . import accepted, shapes

    assert accepted.calls
    assert len(shapes.Weather.handlers) == 4
