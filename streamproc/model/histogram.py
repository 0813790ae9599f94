"""How long things took, counted in buckets as Prometheus has them. Not for several threads."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FINE_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
"""Upper bounds in seconds for what takes less than a frame: searches."""

WORK_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""For a piece of work on a thread, or a call to a service nearby."""

CALL_S: Final = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
"""For what has many histograms, one for each operation."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """What a histogram held when it was asked."""

    bounds: Sequence[float]  # upper ones, inclusive, ascending; the last bucket has none
    counts: Sequence[int]  # of each bucket alone, one more than bounds
    total: float  # of everything observed

    @property
    def count(self) -> int:
        return sum(self.counts)


class Histogram:
    """Durations in seconds, since it was made."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """bounds: upper ones, inclusive, ascending."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def read(self) -> Buckets:
        return Buckets(self._bounds, tuple(self._counts), self._total)
