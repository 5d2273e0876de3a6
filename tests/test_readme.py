"""The README is run: every block of it does what it says."""

import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import alknet
from alknet.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ALKNET = (sys.executable, "-m", "alknet")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.split("\n")[0])
def test_a_python_block_runs(code, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_is_an_embedding_example_of_about_ten_lines():
    code = [line for line in blocks("python")[0].splitlines() if line]
    assert 8 <= len(code) <= 12


@pytest.mark.parametrize("text", blocks("toml"))
async def test_a_toml_block_starts_a_node(text, tmp_path):
    path = tmp_path / "stack.toml"
    path.write_text(text.replace(":8480", ":0"))
    async with alknet.open_node(path) as node:
        assert node.url.startswith("ws://127.0.0.1:")
    assert isinstance(alknet.load(path), Settings)
    assert tomllib.loads(text)["node"]["listen"] == ["ws://127.0.0.1:8480"]


@pytest.fixture
def served(tmp_path):
    """A node as the README makes one, on a free port; yield its folder."""
    folder = tmp_path / "my-node"
    phrase = tmp_path / "phrase"
    _run("init", folder, "--phrase-file", phrase)
    stack = folder / "stack.toml"
    stack.write_text(stack.read_text().replace(":8480", ":0"))
    process = subprocess.Popen(
        [*ALKNET, "serve", "--config", stack, "--phrase-file", phrase],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process:
        ready = process.stdout.readline()
        try:
            yield folder, ready
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def _run(*arguments, **options):
    done = subprocess.run(
        [*ALKNET, *arguments], capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_session_at_a_terminal_goes_as_shown(served):
    folder, ready = served
    shown = [line for block in blocks("console") for line in block.splitlines()]
    assert ready.startswith("ready ws://127.0.0.1:")
    assert "ready ws://127.0.0.1:8480" in shown

    commands = [line.removeprefix("$ ") for line in blocks("console")[1].splitlines()]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "alknet"
        assert _run(*arguments, "--node", ready.removeprefix("ready ").strip(), cwd=folder)


def test_the_two_commands_set_up_an_environment_and_end_as_they_should():
    demo, tests = (block.strip() for block in blocks("sh"))
    for command in (demo, tests):
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")
    assert demo.endswith(".venv/bin/alknet demo")
    assert tests.endswith(".venv/bin/python -m pytest")


def test_the_files_of_a_requests_path_are_there():
    section = README.partition("## Where things are")[2].partition("\n## ")[0]
    named = re.findall(r"^\d\. `([^`]+)`", section, flags=re.MULTILINE)
    assert 6 <= len(named) <= 8
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "python/alknet" / name).exists(), name


def test_the_goals_and_the_not_goals_are_said():
    assert "\n## Goals\n" in README
    assert "\n## Not goals\n" in README


def test_the_demo_of_the_first_command_succeeds():
    assert "each checked" in _run("demo")
