"""How long work waits for an inference thread, and how long it is on one."""

from dataclasses import dataclass, field

from streamproc.model.histogram import WORK_S, Histogram


@dataclass(frozen=True, slots=True)
class RingFigures:
    """Of one ring of turns, since the daemon began. Seconds."""

    waiting: Histogram = field(default_factory=lambda: Histogram(WORK_S))
    working: Histogram = field(default_factory=lambda: Histogram(WORK_S))


@dataclass(frozen=True, slots=True)
class SchedulerFigures:
    """live: cameras and the API; stored: the background."""

    live: RingFigures = field(default_factory=RingFigures)
    stored: RingFigures = field(default_factory=RingFigures)

    def ring(self, *, background: bool) -> RingFigures:
        return self.stored if background else self.live
