"""One figure: its name, kind, labels and meaning, declared once, for Prometheus and for people.

Names follow Prometheus's conventions (https://prometheus.io/docs/practices/naming/): base units
behind the name, _total behind what only rises.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from streamproc.model.histogram import Buckets


@dataclass(frozen=True, slots=True)
class Figure:
    """name is whole, as it is queried; a histogram's has _bucket, _sum and _count behind it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """Every name it is queried by."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)

    def of(self, values: Iterable[tuple[Iterable[str], float]]) -> Metric:
        """With these values, each behind those of its labels."""
        kind = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = kind(self.name, self.meaning, labels=self.labels)
        for labels, value in values:
            family.add_metric(tuple(labels), value)
        return family

    def one(self, value: float) -> Metric:
        """The value of a figure that has no labels."""
        return self.of([((), value)])

    def spread(self, values: Iterable[tuple[Iterable[str], Buckets]]) -> Metric:
        """A histogram of these."""
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, buckets in values:
            family.add_metric(tuple(labels), _cumulated(buckets), buckets.total)
        return family


def counter(name: str, meaning: str, *labels: str) -> Figure:
    return Figure(name, "counter", meaning, labels)


def gauge(name: str, meaning: str, *labels: str) -> Figure:
    return Figure(name, "gauge", meaning, labels)


def histogram(name: str, meaning: str, *labels: str) -> Figure:
    return Figure(name, "histogram", meaning, labels)


def _cumulated(buckets: Buckets) -> list[tuple[str, float]]:
    """As Prometheus has them: all up to each bound, the last one +Inf."""
    bounds = [*map(str, map(float, buckets.bounds)), "+Inf"]
    return list(zip(bounds, map(float, accumulate(buckets.counts)), strict=True))
