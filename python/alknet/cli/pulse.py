"""How a worker fares, and the link to a head, in a line each."""

import time

from alknet.cli.output import printable
from alknet.protocol.directory import HeadSummary, PeerSummary


def pulse_of(peer: PeerSummary) -> str:
    """Return the line for *peer*, "-" if it says nothing of itself."""
    beat = peer.heartbeat
    if beat is None or peer.heard_at is None:
        return "-"
    calls = "1 call" if beat.in_flight == 1 else f"{beat.in_flight} calls"
    memory = "" if beat.memory_bytes is None else f", {beat.memory_bytes / 1e6:.0f} MB"
    # The clocks of two machines may differ by more than a heartbeat is old.
    ago = max(time.time() - peer.heard_at, 0.0)
    return (
        f"load {beat.load:.2f} of {beat.cpus}, {calls}{memory}, "
        f"version {printable(beat.version)}, {ago:.0f} s ago"
    )


def link_of(head: HeadSummary) -> str:
    """Return the line for a node that was joined."""
    who = f"{head.node or 'not reached yet'} at {' or '.join(head.urls)}"
    return who if head.why_away is None else f"{who}, away: {head.why_away}"
