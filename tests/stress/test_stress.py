"""Each call has exactly one outcome, and nothing is left behind by any.

This is the short version, in two worlds; `python -m tests.stress` makes a million calls in each.
"""

import pytest

from .__main__ import main
from .rounds import CALLERS, quiet, wear_out


@pytest.mark.parametrize("is_calm", [True, False], ids=["calm", "rough"])
async def test_every_call_has_one_outcome_and_leaves_nothing_behind(is_calm, autojump_clock):
    with quiet():
        await wear_out(4 * CALLERS, seed=0, is_calm=is_calm)


def test_the_command_says_how_it_goes(capsys):
    assert main(["--calls", "1000", "--seed", "7", "--world", "rough"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[:4]] == [
        ["rough", f"{calls:,}", "calls"] for calls in (1000, 2000, 3000, 4000)
    ]
    assert lines[-1].startswith("rough: every call had one outcome")
