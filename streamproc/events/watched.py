"""A processor that is watched, and the figures of all of them. Decides nothing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from streamproc.events.log import EventLog
from streamproc.events.unwritten import Unwritten
from streamproc.events.visits import Visits
from streamproc.model.event import EventKind
from streamproc.model.processor import ProcessorKey


@dataclass(slots=True, eq=False)
class Watched:
    """One processor, its people, and what is to be told of them."""

    visits: Visits
    unwritten: Unwritten
    patience_s: float  # without a frame, before its open visits end
    heard_at: float  # monotonic, as the next two
    seen_until: float = -math.inf  # it was busy with its last frame,
    searched_from: float = -math.inf  # and with the one before
    status: str | None = None  # the state that was told last, or is about to be
    kept_at: float = 0.0  # media time


class EventFigures:
    """As they are when they are read; totals since the daemon began."""

    def __init__(self, events: EventLog, watched: Mapping[ProcessorKey, Watched]) -> None:
        self._log = events
        self._watched = watched
        self._gone_passed_over = self._gone_repeated = 0  # of processors that are no more

    @property
    def logged_total(self) -> dict[str, int]:
        """Events, by kind."""
        return {kind.value: self._log.appended_total[kind] for kind in EventKind}

    @property
    def visits_open(self) -> int:
        return sum(len(one.visits.open) for one in self._watched.values())

    @property
    def visits_passed_over_total(self) -> int:
        """People who were not told of, since events.visits_max others were there."""
        passed_over = (one.visits.passed_over_total for one in self._watched.values())
        return self._gone_passed_over + sum(passed_over)

    @property
    def frames_repeated_total(self) -> int:
        """Frames that changed nothing, since they had been seen before."""
        repeated = (one.visits.repeated_total for one in self._watched.values())
        return self._gone_repeated + sum(repeated)

    def goes(self, one: Watched) -> None:
        self._gone_passed_over += one.visits.passed_over_total
        self._gone_repeated += one.visits.repeated_total
