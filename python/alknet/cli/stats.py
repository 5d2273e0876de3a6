"""`alknet services stats`: how a node's calls, services and links fare."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from alknet.cli.output import plain_table, printable
from alknet.protocol.stats import LinkStats, NodeStats, OperationStats, ServiceStats


def tables(stats: NodeStats) -> Iterator[Table]:
    """Yield what there is to show: operations that were called, services, and links if any."""
    called = [each for each in stats.operations if each.calls]
    if called:
        yield _of_operations(called)
    yield _of_services(stats.services)
    if stats.links:
        yield _of_links(stats.links)


def _of_operations(operations: list[OperationStats]) -> Table:
    table = plain_table("operation", "calls", "in flight", "p50", "p99", "errors")
    for each in operations:
        errors = ", ".join(f"{calls} {printable(code)}" for code, calls in each.errors.items())
        table.add_row(
            Text(f"/head/{each.name}"),
            str(each.calls),
            str(each.in_flight),
            span_of(each.p50),
            span_of(each.p99),
            Text(errors or "none"),
        )
    return table


def _of_services(services: tuple[ServiceStats, ...]) -> Table:
    table = plain_table("service", "state", "waiting", "restarts", "busy for")
    for each in services:
        busy = span_of(each.busy) if each.busy else "-"
        table.add_row(Text(each.name), each.state, str(each.waiting), str(each.restarts), busy)
    return table


def _of_links(links: tuple[LinkStats, ...]) -> Table:
    table = plain_table("peer", "address", "we ask", "it asks", "unsent")
    for each in links:
        table.add_row(
            Text(printable(each.peer)),
            Text(printable(each.address)),
            str(each.asked),
            str(each.answering),
            f"{each.unsent_bytes} B",
        )
    return table


def span_of(seconds: float | None) -> str:
    """Return *seconds* with three digits, in a unit that keeps them readable; "-" if not known."""
    if seconds is None:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
