"""Label detection: the objects on each frame, as labels with their parents.

Knows how Rekognition words what was seen; which class is which label stands in labels.toml, and
finding things in a picture is the detector's. A label here is always a thing that was seen, or a
kind of such things: scenes, events and activities have no model.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamproc.jobs.analyses.label_filters import LabelFilter
from streamproc.jobs.analyses.segments import Segment, Segments, segment_item
from streamproc.jobs.analyses.taxonomy import LabelEntry, shipped_taxonomy
from streamproc.jobs.ports import Outcome, Vision
from streamproc.model.detection import Detection
from streamproc.model.job import Item, JobSpec
from streamproc.model.members import box_members
from streamproc.model.video import VideoFrame


class Labels:
    """The confidence of a label is that of its surest instance, of a parent that of its surest
    child: the detector's score, which orders and is no probability. The instances are those that
    reach MinConfidence; the detector itself gives none below 10."""

    def __init__(self, spec: JobSpec, vision: Vision, fps: float, model_version: str) -> None:
        self.fps = fps
        self.model_version = model_version
        self._vision = vision
        self._taxonomy = shipped_taxonomy()
        self._confidence_min: float = spec.parameters["MinConfidence"]
        settings = spec.parameters.get("Settings") or {}
        self._filter = LabelFilter(settings.get("GeneralLabels") or {})
        self._segments = Segments()

    async def look(self, frame: VideoFrame) -> list[Detection]:
        return await self._vision.objects(frame.image)

    def add(self, timestamp_ms: int, seen: Sequence[Detection]) -> Iterable[Item]:
        """The labels of the frame, surest first, then by name; and segments that it ended."""
        instances = self._instances(seen)
        confidences = self._confidences(instances)
        for segment in self._segments.add(timestamp_ms, confidences):
            yield self._segment(segment)
        for name, confidence in confidences.items():
            label = {
                **_label(self._taxonomy.labels[name], confidence),
                "Instances": [
                    {"BoundingBox": box_members(one.box), "Confidence": one.confidence}
                    for one in instances.get(name, ())
                ],
            }
            yield Item(timestamp_ms, {"Label": label}, sort_key=name, confidence=confidence)

    async def finish(self) -> Outcome:
        return Outcome(items=[self._segment(segment) for segment in self._segments.finish()])

    def _instances(self, seen: Sequence[Detection]) -> Mapping[str, list[Detection]]:
        """What is sure enough, by label."""
        instances = defaultdict(list)
        for detection in sorted(seen, key=lambda one: one.confidence, reverse=True):
            if detection.confidence >= self._confidence_min:
                instances[self._taxonomy.of_class(detection.name).name].append(detection)
        return instances

    def _confidences(self, instances: Mapping[str, Sequence[Detection]]) -> dict[str, float]:
        """Of the labels that are listed, in the order in which they are."""
        confidences: defaultdict[str, float] = defaultdict(float)
        for name, found in instances.items():
            for label in (name, *self._taxonomy.labels[name].parents):
                confidences[label] = max(confidences[label], found[0].confidence)
        labels = self._taxonomy.labels
        admitted = [name for name in confidences if self._filter.admits(labels[name])]
        return {
            name: confidences[name]
            for name in sorted(admitted, key=lambda name: (-confidences[name], name))
        }

    def _segment(self, segment: Segment) -> Item:
        label = _label(self._taxonomy.labels[segment.name], segment.confidence)
        return segment_item(segment, {"Label": label})


def _label(entry: LabelEntry, confidence: float) -> dict[str, Any]:
    return {
        "Name": entry.name,
        "Confidence": confidence,
        "Parents": [{"Name": name} for name in entry.parents],
        "Aliases": [{"Name": name} for name in entry.aliases],
        "Categories": [{"Name": name} for name in entry.categories],
    }
