"""What the directory tells of operations and links, read off where it is counted."""

from alknet.call.invocation import Entry
from alknet.call.session import Session
from alknet.protocol.stats import LinkStats, OperationStats


def operation_stats(entry: Entry) -> OperationStats:
    """Return how the calls of *entry* have fared."""
    measure = entry.measure
    return OperationStats(
        name=entry.spec.name,
        calls=measure.calls,
        answered=measure.answered,
        errors=dict(sorted(measure.errors.items())),
        in_flight=measure.in_flight,
        p50=measure.quantile(0.5),
        p99=measure.quantile(0.99),
        misfits=measure.misfits,
    )


def link_stats(session: Session) -> LinkStats:
    """Return how the link of *session* fares."""
    return LinkStats(
        peer=session.peer,
        address=session.link.peer_address,
        asked=len(session.pending),
        answering=len(session.inbound),
        unsent_bytes=session.outbox.unsent_bytes,
    )
