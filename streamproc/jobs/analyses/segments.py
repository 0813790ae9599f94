"""Sightings on single frames, merged into segments of the video. Pure.

A segment is a run of frames looked at, one after the other, on all of which a name was seen. It
ends with the last of them: what was not looked at is not claimed, so a name seen on one frame
only has a segment that lasts 0 ms. Memory is bounded by the names seen on one frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from streamproc.model.job import Aggregation, Item


@dataclass(frozen=True, slots=True)
class Segment:
    name: str
    start_ms: int  # of the first frame it was seen on
    end_ms: int  # of the last
    confidence: float  # the highest, 0 to 100


class Segments:
    """Feed it every frame that was looked at, in order, also those on which nothing was seen."""

    def __init__(self) -> None:
        self._open: dict[str, Segment] = {}  # in the order in which they began

    def add(self, timestamp_ms: int, seen: Mapping[str, float]) -> list[Segment]:
        """The segments that this frame ends; seen is the confidence of each name on it."""
        ended = [segment for name, segment in self._open.items() if name not in seen]
        for segment in ended:
            del self._open[segment.name]
        for name, confidence in seen.items():
            segment = self._open.get(name) or Segment(name, timestamp_ms, timestamp_ms, confidence)
            self._open[name] = replace(
                segment, end_ms=timestamp_ms, confidence=max(segment.confidence, confidence)
            )
        return ended

    def finish(self) -> list[Segment]:
        """The segments that last to the end of the video."""
        ended, self._open = list(self._open.values()), {}
        return ended


def segment_item(segment: Segment, body: Mapping[str, object]) -> Item:
    """The segment as Get operations list it, with what they say of its label."""
    return Item(
        timestamp_ms=segment.start_ms,
        body={
            **body,
            "StartTimestampMillis": segment.start_ms,
            "EndTimestampMillis": segment.end_ms,
            "DurationMillis": segment.end_ms - segment.start_ms,
        },
        sort_key=segment.name,
        confidence=segment.confidence,
        aggregation=Aggregation.SEGMENTS,
    )
