"""A million calls by a thousand callers, and what they leave behind.

    python -m tests.stress --calls 1000000 --seed 3

In a calm world nothing goes wrong but what the callers do; in a rough one links are cut and fall
silent, services fail and are restarted, handlers crash, callers give up and are late. The clock
jumps, so that seconds of waiting cost none. What is done follows from the seed. The exit code is 1
if a call had no outcome, two, or one that nothing explains, or if anything is left.
"""

import argparse
import sys
import traceback
from time import perf_counter

import trio
from trio.testing import MockClock

from .rounds import quiet, wear_out

WORLDS = ("calm", "rough")


def main(arguments: list[str] | None = None) -> int:
    """Run `python -m tests.stress`; return its exit code."""
    description, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=description)
    parser.add_argument("--calls", type=int, default=1_000_000, help="in each world (1,000,000)")
    parser.add_argument("--seed", type=int, default=0, help="where to begin (0)")
    parser.add_argument("--world", choices=WORLDS, help="only this one; otherwise both")
    options = parser.parse_args(arguments)
    failures = 0
    for name in WORLDS if options.world is None else [options.world]:
        failures += not _holds(name, options.calls, options.seed)
    return 1 if failures else 0


def _holds(name, calls, seed):
    """Wear a world out, and say how that went; return whether all was as it must be."""
    started = perf_counter()
    made = 0

    def tell(round_):
        nonlocal made
        made += sum(round_.outcomes.values())
        outcomes = ", ".join(f"{count:,} {word}" for word, count in round_.outcomes.most_common())
        say(
            f"{name} {made:>9,} calls {perf_counter() - started:7.1f} s "
            f"{round_.resident / 2**20:7.1f} MiB {round_.blocks:>9,} blocks "
            f"{round_.tasks:>4} tasks  ({outcomes})"
        )

    async def worn_out():
        await wear_out(calls, seed, is_calm=name == "calm", tell=tell)

    try:
        with quiet():
            trio.run(worn_out, clock=MockClock(autojump_threshold=0))
    except Exception:
        traceback.print_exc()
        say(f"{name}: failed after {made:,} calls; --seed {seed} --world {name} shows it again")
        return False
    rate = made / (perf_counter() - started)
    say(f"{name}: every call had one outcome and left nothing behind; {rate:,.0f} calls a second")
    return True


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
