"""Every check that a change must pass, fastest first.

    python tests/check.py                  all of them
    python tests/check.py lint types       these

Run it from an environment with `.[test,bench]` installed; the Rust checks need clippy and rustfmt.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
SOURCES = ("python", "tests", "benches")

CHECKS: dict[str, tuple[tuple[str, ...], ...]] = {
    "format": (
        (PYTHON, "-m", "ruff", "format", "--check", *SOURCES),
        ("cargo", "fmt", "--all", "--check"),
    ),
    "lint": ((PYTHON, "-m", "ruff", "check", *SOURCES),),
    "types": (
        (PYTHON, "-m", "mypy"),
        (PYTHON, "-m", "pyright"),
    ),
    "rust": (
        ("cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"),
        ("cargo", "test", "--workspace", "--quiet"),
    ),
    "test": ((PYTHON, "-m", "pytest", "-q"),),
    "bench": ((PYTHON, "-m", "benches", "--quick"),),
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"no check is called {', '.join(unknown)}; there are {', '.join(CHECKS)}")
        return 2
    # pyright and the rest judge the environment that this runs in, whatever else is on the PATH.
    environment = {**os.environ, "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"}
    failed = []
    for name in names or CHECKS:
        for command in CHECKS[name]:
            print(f"+ {' '.join(command)}", flush=True)
            started = time.monotonic()
            done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
            print(f"  {time.monotonic() - started:.1f} s", flush=True)
            if done.returncode != 0:
                failed.append(name)
    if failed:
        print(f"failed: {', '.join(dict.fromkeys(failed))}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
