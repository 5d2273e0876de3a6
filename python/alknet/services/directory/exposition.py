"""Exposition: the node's counters, and those of its process, as Prometheus reads them."""

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from alknet.call.home import Home
from alknet.call.measure import BOUNDS, Measure
from alknet.protocol.stats import ServiceStats

# Of our ten bounds a decade Prometheus gets three: it keeps a time series for each.
_SHOWN = ("1", "2.5", "5")


class Exposition(Collector):
    """Reads the node's own counters each time it is asked; *services* tells of its services."""

    def __init__(self, home: Home, services: Callable[[], tuple[ServiceStats, ...]]) -> None:
        self._home = home
        self._services = services
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> str:
        """Return everything, in the text format 0.0.4."""
        return generate_latest(self._registry).decode()

    def collect(self) -> Iterator[Metric]:
        """Yield the node's own metrics."""
        about = {"node": self._home.name, "version": _version()}
        yield InfoMetricFamily("alknet", "This node.", value=about)
        yield from self._of_operations()
        yield from self._of_services()
        yield from self._of_links()

    def _of_operations(self) -> Iterator[Metric]:
        begun = CounterMetricFamily(
            "alknet_calls_begun",
            "Calls that have begun, by where they came from.",
            labels=["operation", "origin"],
        )
        ended = CounterMetricFamily(
            "alknet_calls_ended",
            "Calls that are over, by the code of their error; OK if they were answered.",
            labels=["operation", "code"],
        )
        in_flight = GaugeMetricFamily(
            "alknet_calls_in_flight", "Calls that are not over.", labels=["operation"]
        )
        misfits = CounterMetricFamily(
            "alknet_call_misfits",
            "Answers and items that were not what their operation promises.",
            labels=["operation"],
        )
        seconds = HistogramMetricFamily(
            "alknet_call_seconds",
            "How long calls took; of those from within the node one in 16 stands for the others.",
            labels=["operation"],
        )
        for entry in self._home.registry:
            name, measure = entry.spec.name, entry.measure
            begun.add_metric([name, "process"], measure.local)
            begun.add_metric([name, "link"], measure.remote)
            ended.add_metric([name, "OK"], measure.answered)
            for code, calls in sorted(measure.errors.items()):
                ended.add_metric([name, code], calls)
            in_flight.add_metric([name], measure.in_flight)
            misfits.add_metric([name], measure.misfits)
            if any(measure.counts):
                seconds.add_metric([name], buckets(measure), measure.seconds)
        return iter((begun, ended, in_flight, misfits, seconds))

    def _of_services(self) -> Iterator[Metric]:
        serving = GaugeMetricFamily(
            "alknet_service_serving", "Whether the service takes calls.", labels=["service"]
        )
        waiting = GaugeMetricFamily(
            "alknet_service_waiting", "Calls in the service's mailbox.", labels=["service"]
        )
        restarts = CounterMetricFamily(
            "alknet_service_restarts", "How often it was restarted.", labels=["service"]
        )
        busy = GaugeMetricFamily(
            "alknet_service_busy_seconds",
            "For how long one handler has kept the service from others.",
            labels=["service"],
        )
        for service in self._services():
            serving.add_metric([service.name], service.state == "serving")
            waiting.add_metric([service.name], service.waiting)
            restarts.add_metric([service.name], service.restarts)
            busy.add_metric([service.name], service.busy)
        return iter((serving, waiting, restarts, busy))

    def _of_links(self) -> Iterator[Metric]:
        """Yield what there is to say of each peer, all its links together."""
        count = GaugeMetricFamily("alknet_links", "Links of the peer.", labels=["peer"])
        calls = GaugeMetricFamily(
            "alknet_link_calls",
            "Calls in flight over the peer's links, by who asks.",
            labels=["peer", "asks"],
        )
        unsent = GaugeMetricFamily(
            "alknet_link_unsent_bytes", "What the peer's links have not taken.", labels=["peer"]
        )
        by_peer: dict[str, list[int]] = {}
        for session in self._home.peers.sessions():
            sums = by_peer.setdefault(session.peer, [0, 0, 0, 0])
            added = (1, len(session.pending), len(session.inbound), session.outbox.unsent_bytes)
            sums[:] = map(sum, zip(sums, added, strict=True))
        for peer, (links, asked, answering, unsent_bytes) in by_peer.items():
            count.add_metric([peer], links)
            calls.add_metric([peer, "node"], asked)
            calls.add_metric([peer, "peer"], answering)
            unsent.add_metric([peer], unsent_bytes)
        return iter((count, calls, unsent))


def _version() -> str:
    try:
        return version("alknet")
    except PackageNotFoundError:  # run from its source, without having been installed
        return "unknown"


def buckets(measure: Measure) -> list[tuple[str, float]]:
    """Return (upper bound in seconds, calls up to it) pairs, for some bounds and for all calls."""
    found: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip(BOUNDS, measure.counts, strict=False):
        total += count
        if f"{bound:e}".split("e")[0].rstrip("0").rstrip(".") in _SHOWN:
            found.append((f"{bound:g}", total))
    return [*found, ("+Inf", total + measure.counts[-1])]
