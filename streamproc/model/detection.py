"""Things a detector found in a picture. Values only."""

from dataclasses import dataclass

from streamproc.model.face import BoundingBox


@dataclass(frozen=True, slots=True)
class Detection:
    name: str  # the detector's own class, such as "person" or "cell phone"
    confidence: float  # 0 to 100
    box: BoundingBox
