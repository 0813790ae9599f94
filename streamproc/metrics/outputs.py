"""Figures of what leaves: records to data streams, events to whoever listens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client.metrics_core import Metric

from streamproc.events.outlet import OutletView
from streamproc.metrics.figure import counter, gauge, histogram
from streamproc.model.event import EventKind
from streamproc.model.histogram import Buckets
from streamproc.sink.figures import SinkFigures

CALLS: Final = histogram(
    "streamproc_sink_request_seconds", "How long PutRecords took, where it was answered."
)
ERRORS: Final = counter(
    "streamproc_sink_errors_total",
    "Calls of PutRecords, and records in them, that were refused or not answered; each is tried "
    "again.",
    "code",
)
RECORDS: Final = counter("streamproc_sink_records_total", "Records that data streams have taken.")
BYTES: Final = counter("streamproc_sink_bytes_total", "Bytes of those records.")

EVENTS: Final = counter("streamproc_events_total", "Events written to the log.", "kind")
VISITS: Final = gauge("streamproc_visits_open", "Visits that have begun and not ended.")
VISITS_PASSED_OVER: Final = counter(
    "streamproc_visits_passed_over_total",
    "Visits not told, because events.visits_max were open at that processor.",
)
_OUTLET: Final = ("outlet", "kind")
CONNECTED: Final = gauge(
    "streamproc_outlet_connected", "1 while the broker or the URL takes events, else 0.", *_OUTLET
)
WAITING: Final = gauge(
    "streamproc_outlet_events_waiting", "Events in the log that it has not delivered yet.", *_OUTLET
)
DELIVERED: Final = counter(
    "streamproc_outlet_events_delivered_total", "Events that the other side has taken.", *_OUTLET
)
PASSED_OVER: Final = counter(
    "streamproc_outlet_events_passed_over_total",
    "Events not delivered: too many were waiting, or they were refused for good.",
    *_OUTLET,
)
FAILURES: Final = counter(
    "streamproc_outlet_failures_total", "Attempts that did not succeed.", *_OUTLET
)
FIGURES: Final = (
    CALLS, ERRORS, RECORDS, BYTES, EVENTS, VISITS, VISITS_PASSED_OVER, CONNECTED, WAITING,
    DELIVERED, PASSED_OVER, FAILURES,
)  # fmt: skip


class EventFigures(Protocol):
    """What the event service counts, since the daemon began."""

    @property
    def logged_total(self) -> Mapping[str, int]: ...

    @property
    def visits_open(self) -> int: ...

    @property
    def visits_passed_over_total(self) -> int: ...


@dataclass(frozen=True, slots=True)
class SinkView:
    """Every sink of the daemon, as it stood."""

    seconds: Buckets
    errors_total: Mapping[str, int]
    records_total: int
    bytes_total: int

    @classmethod
    def of(cls, figures: SinkFigures) -> "SinkView":
        errors = dict(figures.errors_total)
        return cls(figures.seconds.read(), errors, figures.records_total, figures.bytes_total)


@dataclass(frozen=True, slots=True)
class EventsView:
    logged_total: Mapping[str, int]
    visits_open: int
    visits_passed_over_total: int

    @classmethod
    def of(cls, figures: EventFigures) -> "EventsView":
        logged = dict(figures.logged_total)
        return cls(logged, figures.visits_open, figures.visits_passed_over_total)


def sink_families(view: SinkView) -> Iterator[Metric]:
    yield CALLS.spread([((), view.seconds)])
    yield ERRORS.of(((code,), count) for code, count in view.errors_total.items())
    yield RECORDS.one(view.records_total)
    yield BYTES.one(view.bytes_total)


def event_families(view: EventsView) -> Iterator[Metric]:
    # What appears with its first value has no rate then.
    yield EVENTS.of(((kind.value,), view.logged_total.get(kind, 0)) for kind in EventKind)
    yield VISITS.one(view.visits_open)
    yield VISITS_PASSED_OVER.one(view.visits_passed_over_total)


def outlet_families(views: Sequence[OutletView]) -> Iterator[Metric]:
    yield CONNECTED.of((_of(view), float(view.connected)) for view in views)
    yield WAITING.of((_of(view), view.waiting) for view in views)
    yield DELIVERED.of((_of(view), view.delivered_total) for view in views)
    yield PASSED_OVER.of((_of(view), view.passed_over_total) for view in views)
    yield FAILURES.of((_of(view), view.failures_total) for view in views)


def _of(view: OutletView) -> tuple[str, str]:
    return (view.name, view.kind)
