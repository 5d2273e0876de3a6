"""The stubs of the Rust core say what there is, in every signature."""

import subprocess
import sys
from pathlib import Path

import pytest

import alknet

STUBS = Path(alknet.__file__).parent / "_core"


def test_the_stubs_and_the_extension_agree():
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "alknet._core"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("stub", sorted(STUBS.glob("*.pyi")), ids=lambda path: path.stem)
def test_docstrings_are_the_extensions_own(stub):
    assert '"""' not in stub.read_text(encoding="utf-8")


def test_the_package_says_that_it_is_typed():
    assert (STUBS.parent / "py.typed").exists()
