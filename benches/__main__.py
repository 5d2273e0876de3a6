"""Ours, the peer and the ratio, measured in one process and one run.

    python -m benches                       every row
    python -m benches envelope_decode seal  rows of these names, or whose name begins so
    python -m benches --json FILE           write the figures too
    python -m benches --quick               a smoke: a few milliseconds a row, figures mean little
    python -m benches --check               exit 1 if a goal is missed
    python -m benches --list                what there is to run
    python -m benches soak --seconds 3600   a load for so long: latency and memory over time
    python -m benches transport             every road: requests, bulk, processor time, memory

The file is `{"name": {"ours_us": f, "peer": s, "peer_us": f, "ratio": f, "goal": f}}`; times are
microseconds for one operation and the ratio is the peer's time by ours, so more is better. A row
whose peer is not installed says so and is not in the file (`pip install alknet[bench]`). For quiet
figures pin the run to one core: `taskset -c 1 python -m benches`; rows that start processes pin
their own.

Rows live in `benches/<subject>.py`: every module of this folder is imported. How to write one, and
how they are timed, is in `benches/harness.py`.
"""

import argparse
import importlib
import json
import pkgutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import benches
from benches.harness import FULL, QUICK, ROWS, Measured, Pace, Row


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["soak"]:
        from benches import soak

        return soak.main(arguments[1:])
    if arguments[:1] == ["transport"]:
        from benches import transport

        return transport.main(arguments[1:])
    options = _parser().parse_args(arguments)
    for module in pkgutil.iter_modules(benches.__path__):
        if module.name not in ("__main__", "harness"):
            importlib.import_module(f"benches.{module.name}")
    console = Console()
    if options.list:
        for row in ROWS:
            console.print(f"{row.name}  against {row.peer}, goal {row.goal:g}", highlight=False)
        return 0
    rows = [row for row in ROWS if _chosen(row, options.names)]
    if not rows:
        print(f"no row is called {' or '.join(options.names)}; see --list", file=sys.stderr)
        return 2

    table = Table(title="quick: figures mean little" if options.quick else None)
    table.add_column("name", no_wrap=True)
    table.add_column("peer")
    for heading in ("ours us", "peer us", "ratio", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    figures: dict[str, dict[str, float | str]] = {}
    missed = []
    for row in rows:
        with Console(stderr=True).status(row.name):
            measured = _run(row, QUICK if options.quick else FULL)
        if measured is None:
            table.add_row(row.name, row.peer, "", "", "", f"{row.goal:g}", "peer not installed")
            continue
        ratio = measured.peer_us / measured.ours_us
        peer = measured.peer_name or row.peer
        if ratio < row.goal:
            missed.append(row.name)
        table.add_row(
            row.name,
            peer,
            f"{measured.ours_us:.3f}",
            f"{measured.peer_us:.3f}",
            f"{ratio:.2f}",
            f"{row.goal:g}",
            "[red]missed" if ratio < row.goal else "[green]met",
        )
        figures[row.name] = {
            "ours_us": measured.ours_us,
            "peer": peer,
            "peer_us": measured.peer_us,
            "ratio": ratio,
            "goal": row.goal,
        }
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if options.check and missed else 0


def _parser() -> argparse.ArgumentParser:
    description, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="python -m benches", description=description)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to run, or how they begin")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help="a smoke of a few ms a row")
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    parser.add_argument("--list", action="store_true", help="say what there is to run")
    return parser


def _chosen(row: Row, names: list[str]) -> bool:
    return not names or any(row.name.startswith(name) for name in names)


def _run(row: Row, pace: Pace) -> Measured | None:
    """The row's figures, or nothing if its peer is not installed; our own absence is a fault."""
    try:
        return row.run(pace)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] in ("alknet", "benches"):
            raise
        return None


if __name__ == "__main__":
    sys.exit(main())
