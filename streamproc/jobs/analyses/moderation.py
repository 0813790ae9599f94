"""Content moderation: how sure the classifier is of nudity and of suggestive pictures.

Knows which of its classes is which label of Rekognition's two-level taxonomy, in one table. What
the classes cannot tell apart, and all that they do not know, stands in docs/stored-video.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from streamproc.jobs.analyses.segments import Segment, Segments, segment_item
from streamproc.jobs.ports import Outcome, Vision
from streamproc.model.job import Item, JobSpec
from streamproc.model.video import VideoFrame

# Each class is given the label that claims least of what the class holds.
LABELS: Mapping[str, tuple[str, str] | None] = {
    "Porn": ("Nudity", "Explicit Nudity"),
    "Hentai": ("Illustrated Explicit Nudity", "Explicit Nudity"),
    "Sexy": ("Revealing Clothes", "Suggestive"),
    "Drawing": None,  # drawn, and safe
    "Neutral": None,
}
"""The label of a class and its parent; None is for classes that are no cause for concern."""

ILLUSTRATED = ("Drawing", "Hentai")
"""The classes of drawn pictures: their sum is the ContentType Illustrated."""

_PARENT_OF = dict(filter(None, LABELS.values()))


class Moderation:
    """A label's confidence is 100 × the probability of its class, a parent's the sum of its
    children's, since the classes exclude each other. They are a softmax's and not calibrated."""

    def __init__(self, spec: JobSpec, vision: Vision, fps: float, model_version: str) -> None:
        self.fps = fps
        self.model_version = model_version
        self._vision = vision
        self._confidence_min: float = spec.parameters["MinConfidence"]
        self._segments = Segments()

    async def look(self, frame: VideoFrame) -> Mapping[str, float]:
        return await self._vision.moderation(frame.image)

    def add(self, timestamp_ms: int, seen: Mapping[str, float]) -> Iterable[Item]:
        """The labels of the frame: the surest parent first, behind its children; and segments
        that the frame ended."""
        confidences = {
            name: confidence
            for name, confidence in _confidences(seen).items()
            if confidence >= self._confidence_min
        }
        for segment in self._segments.add(timestamp_ms, confidences):
            yield _segment(segment)
        for name, confidence in confidences.items():
            body = {**_label(name, confidence), "ContentTypes": self._content_types(seen)}
            yield Item(timestamp_ms, body, sort_key=name, confidence=confidence)

    async def finish(self) -> Outcome:
        return Outcome(items=[_segment(segment) for segment in self._segments.finish()])

    def _content_types(self, seen: Mapping[str, float]) -> list[dict[str, Any]]:
        confidence = _percent(sum(seen.get(name, 0.0) for name in ILLUSTRATED))
        if confidence < self._confidence_min:
            return []
        return [{"Confidence": confidence, "Name": "Illustrated"}]


def _confidences(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Of every label, 0 to 100, in the order in which they are listed."""
    children: dict[str, dict[str, float]] = {}
    for name, probability in probabilities.items():
        if (label := LABELS[name]) is not None:
            children.setdefault(label[1], {})[label[0]] = probability
    listed: dict[str, float] = {}
    for parent, sums in sorted(children.items(), key=lambda one: (-sum(one[1].values()), one[0])):
        for child, probability in sorted(sums.items(), key=lambda one: (-one[1], one[0])):
            listed[child] = _percent(probability)
        listed[parent] = _percent(sum(sums.values()))
    return listed


def _percent(probability: float) -> float:
    return min(float(probability) * 100.0, 100.0)


def _segment(segment: Segment) -> Item:
    return segment_item(segment, _label(segment.name, segment.confidence))


def _label(name: str, confidence: float) -> dict[str, Any]:
    parent = _PARENT_OF.get(name, "")
    return {
        "ModerationLabel": {
            "Confidence": confidence,
            "Name": name,
            "ParentName": parent,
            "TaxonomyLevel": 2 if parent else 1,
        }
    }
