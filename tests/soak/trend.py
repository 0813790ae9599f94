"""Whether a figure grows. Pure: samples in, a verdict out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

WARM_UP_SHARE = 0.25
"""Of the run: allocators, caches, pools and threads come to their size."""

ALLOWED: Mapping[str, tuple[float, float]] = {
    # Share and amount that the last third may lie above the first one. Python's heap and
    # malloc's arenas breathe; a leak of one object per frame, call or reconnect does more.
    "memory_mb": (0.04, 8.0),
    "threads": (0.0, 3.0),
    "files": (0.0, 6.0),
    "tasks": (0.0, 8.0),
    "connections": (0.0, 5.0),  # to databases
}


@dataclass(frozen=True, slots=True)
class Trend:
    figure: str
    early: float  # median of the first third behind the warm-up
    late: float  # median of the last third
    allowed: float

    @property
    def grows(self) -> bool:
        return self.late - self.early > self.allowed


def trend(figure: str, values: Sequence[float]) -> Trend:
    """Raises ValueError for fewer than twelve samples: three say nothing."""
    if len(values) < 12:
        raise ValueError(f"{len(values)} samples of {figure} are too few for a verdict")
    warm = list(values)[int(len(values) * WARM_UP_SHARE) :]
    third = len(warm) // 3
    early, late = median(warm[:third]), median(warm[-third:])
    share, amount = ALLOWED[figure]
    return Trend(figure, early, late, max(share * early, amount))
