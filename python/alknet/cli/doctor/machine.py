"""The machine: its clock, its memory, and what becomes of a process that crashes."""

import ctypes
import resource
from pathlib import Path
from typing import Final

from alknet.cli.doctor.finding import Finding, State
from alknet.keys import memory_status

# adjtimex(2): what it returns while nobody keeps the clock, and room for its struct, which has 208
# bytes on 64-bit Linux; a zeroed one asks and changes nothing.
_TIME_ERROR: Final = 5
_TIMEX_BYTES: Final = 512
_KIB: Final = 1024


def clock() -> Finding:
    """Say whether the clock is kept right: deadlines and tokens travel as points in time."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(
            ctypes.create_string_buffer(_TIMEX_BYTES)
        )
    except (OSError, AttributeError):
        state = -1
    return judge_clock(state)


def judge_clock(state: int) -> Finding:
    """Return what adjtimex(2) says by returning *state*."""
    if state == _TIME_ERROR:
        return Finding(
            "clock",
            State.WARNING,
            "nobody says that the clock is right, and deadlines and tokens need it to be",
            "run chrony or systemd-timesyncd (timedatectl set-ntp true), here or on the host of "
            "a container",
        )
    if state < 0:
        return Finding("clock", State.WARNING, "the system does not say whether the clock is right")
    return Finding("clock", State.FINE, "it is kept in time")


def memory() -> Finding:
    """Say whether secrets can be kept out of swap."""
    status = memory_status()
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return judge_memory(status.locked, status.reason, soft, has_swap=_has_swap())


def judge_memory(locked: bool, reason: str | None, limit: int, *, has_swap: bool) -> Finding:
    """Return what it means that secrets are *locked* in memory or, for a *reason*, not.

    *limit* is RLIMIT_MEMLOCK in bytes, -1 for none.
    """
    if locked:
        allowed = "without a limit" if limit < 0 else f"up to {limit // _KIB} KiB"
        return Finding("mlock", State.FINE, f"secrets are kept out of swap, {allowed}")
    what = f"secrets may be written to swap: {reason or 'memory cannot be locked'}"
    mend = (
        "ulimit -l 8192, LimitMEMLOCK=8M in the unit, or --ulimit memlock=8388608 for a container"
    )
    return Finding("mlock", State.BAD if has_swap else State.WARNING, what, mend)


def core_dumps() -> Finding:
    """Say whether a crash would write the process to disk."""
    soft, _ = resource.getrlimit(resource.RLIMIT_CORE)
    return judge_core_dumps(soft)


def judge_core_dumps(limit: int) -> Finding:
    """Return what it means that a core may have *limit* bytes, -1 for any number."""
    if limit == 0:
        return Finding("core dumps", State.FINE, "none is written")
    return Finding(
        "core dumps",
        State.WARNING,
        "a crash may write what the process holds to disk; the seed is left out of it",
        "alknet serve --no-core-dumps, or LimitCORE=0 in the unit",
    )


def _has_swap() -> bool:
    try:
        return len(Path("/proc/swaps").read_text().splitlines()) > 1
    except OSError:
        return True
