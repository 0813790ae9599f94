"""What a stored-video job has found, as a person would tell it: who or what, when, how surely.

Pure: knows the items that the Get operations answer, one kind after the other; knows nothing of
how they are asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Item: TypeAlias = Mapping[str, Any]

_PAUSE_MS = 2000
"""Not seen for longer than this: two appearances, told apart."""

_SPANS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What one item says."""

    key: str  # that of other items of the same person or thing
    name: str
    confidence: float  # 0 to 100; what it is a confidence in depends on the kind
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is to be drawn of an item: a box, or words alone where there is none."""

    text: str
    box: Mapping[str, float] | None = None
    known: bool = False  # by name


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job: how it is read and told."""

    method: str  # boto3's
    listed: str  # the member that holds the items
    what: str  # the head of the column of names
    how: str  # the head of the column of confidences
    seen: Callable[[Item], Seen]
    marks: Callable[[Item], list[Mark]]
    segments: bool = False  # whether AggregateBy=SEGMENTS tells the times better


@dataclass(slots=True)
class Finding:
    """Everything that was seen of one person or thing."""

    name: str
    note: str
    confidence: float  # the best
    times: int = 0  # items
    spans: list[tuple[int, int]] = field(default_factory=list)  # milliseconds

    def add(self, start_ms: int, end_ms: int) -> None:
        self.times += 1
        self.spans.append((start_ms, end_ms))
        self.spans.sort()
        joined = self.spans[:1]
        for start, end in self.spans[1:]:
            if start - joined[-1][1] <= _PAUSE_MS:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        self.spans = joined

    @property
    def when(self) -> str:
        shown = [
            # One moment, or two that look the same, is one.
            " - ".join(dict.fromkeys((clock(start), clock(end))))
            for start, end in self.spans[:_SPANS_SHOWN]
        ]
        if more := len(self.spans) - len(shown):
            shown.append(f"and {more} more")
        return ", ".join(shown)


class Summary:
    """Takes items one by one; what it keeps does not grow with the video but by who is in it."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._findings: dict[str, Finding] = {}
        self.items = 0

    def add(self, item: Item) -> None:
        seen = self._kind.seen(item)
        finding = self._findings.setdefault(seen.key, Finding(seen.name, seen.note, 0.0))
        if seen.confidence >= finding.confidence:
            finding.name, finding.note = seen.name, seen.note
            finding.confidence = seen.confidence
        start_ms = item.get("StartTimestampMillis", item["Timestamp"])
        finding.add(start_ms, item.get("EndTimestampMillis", start_ms))
        self.items += 1

    @property
    def findings(self) -> list[Finding]:
        """In order of their first appearance."""
        return sorted(self._findings.values(), key=lambda finding: finding.spans[0][0])


def clock(milliseconds: float) -> str:
    """h:mm:ss.t of the video, the hours only where there are any."""
    minutes, seconds = divmod(int(milliseconds) // 100 / 10, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"


def _face(item: Item) -> Seen:
    return Seen("face", "faces", item["Face"]["Confidence"])


def _face_marks(item: Item) -> list[Mark]:
    face = item["Face"]
    words = [f"{face['Confidence']:.1f}"]
    if gender := face.get("Gender"):
        words.append(gender["Value"])
    if age := face.get("AgeRange"):
        words.append(f"{age['Low']}-{age['High']}")
    if emotions := face.get("Emotions"):
        words.append(max(emotions, key=_confidence)["Type"])
    for member, word in (
        ("Smile", "smile"),
        ("Eyeglasses", "glasses"),
        ("MouthOpen", "mouth open"),
    ):
        if face.get(member, {}).get("Value"):
            words.append(word)
    if not face.get("EyesOpen", {}).get("Value", True):
        words.append("eyes closed")
    return [Mark(" ".join(words), face["BoundingBox"])]


def _found_person(item: Item) -> Seen:
    index, match = item["Person"]["Index"], _best_match(item)
    name = f"{index} {_name(match)}" if match else f"{index} unknown"
    return Seen(str(index), name, match["Similarity"] if match else 0.0)


def _found_person_marks(item: Item) -> list[Mark]:
    person, match = item["Person"], _best_match(item)
    text = f"#{person['Index']} unknown"
    if match:
        text = f"#{person['Index']} {_name(match)} {match['Similarity']:.1f}"
    return _boxed(text, person, known=match is not None)


def _best_match(item: Item) -> Mapping[str, Any] | None:
    matches = item.get("FaceMatches") or []
    return max(matches, key=lambda match: float(match["Similarity"]), default=None)


def _name(match: Mapping[str, Any]) -> str:
    face = match["Face"]
    return str(face.get("ExternalImageId") or face["FaceId"])


def _person(item: Item) -> Seen:
    person = item["Person"]
    face = person.get("Face") or {}
    return Seen(str(person["Index"]), str(person["Index"]), face.get("Confidence", 0.0))


def _person_marks(item: Item) -> list[Mark]:
    return _boxed(f"#{item['Person']['Index']}", item["Person"], known=False)


def _label(item: Item) -> Seen:
    label = item["Label"]
    note = ", ".join(parent["Name"] for parent in label.get("Parents", ()))
    return Seen(label["Name"], label["Name"], label["Confidence"], note)


def _label_marks(item: Item) -> list[Mark]:
    label = item["Label"]
    boxes = [
        Mark(f"{label['Name']} {one['Confidence']:.1f}", one["BoundingBox"], known=True)
        for one in label.get("Instances", ())
    ]
    return boxes or [Mark(f"{label['Name']} {label['Confidence']:.1f}")]


def _moderation(item: Item) -> Seen:
    label = item["ModerationLabel"]
    return Seen(label["Name"], label["Name"], label["Confidence"], label.get("ParentName", ""))


def _moderation_marks(item: Item) -> list[Mark]:
    label = item["ModerationLabel"]
    return [Mark(f"{label['Name']} {label['Confidence']:.1f}")]


def _celebrity(item: Item) -> Seen:
    person = item["Celebrity"]
    note = ", ".join(person.get("Urls", ()))
    return Seen(person["Id"], f"{person['Name']} ({person['Id']})", person["Confidence"], note)


def _celebrity_marks(item: Item) -> list[Mark]:
    person = item["Celebrity"]
    return _boxed(f"{person['Name']} {person['Confidence']:.1f}", person, known=True)


def _boxed(text: str, person: Mapping[str, Any], *, known: bool) -> list[Mark]:
    """The body, the face, or both: the words stand at the first that there is."""
    boxes = [person.get("BoundingBox"), (person.get("Face") or {}).get("BoundingBox")]
    there = [box for box in boxes if box]
    return [Mark("" if number else text, box, known) for number, box in enumerate(there)] or [
        Mark(text, known=known)
    ]


def _confidence(member: Mapping[str, Any]) -> float:
    return float(member["Confidence"])


KINDS: Mapping[str, Kind] = {
    "StartFaceDetection": Kind(
        "get_face_detection", "Faces", "what", "best confidence", _face, _face_marks
    ),
    "StartFaceSearch": Kind(
        "get_face_search", "Persons", "person", "best similarity",
        _found_person, _found_person_marks,
    ),
    "StartPersonTracking": Kind(
        "get_person_tracking", "Persons", "person", "best face", _person, _person_marks
    ),
    "StartLabelDetection": Kind(
        "get_label_detection", "Labels", "label", "confidence", _label, _label_marks, segments=True
    ),
    "StartContentModeration": Kind(
        "get_content_moderation", "ModerationLabels", "label", "confidence",
        _moderation, _moderation_marks, segments=True,
    ),
    "StartCelebrityRecognition": Kind(
        "get_celebrity_recognition", "Celebrities", "celebrity", "best confidence",
        _celebrity, _celebrity_marks,
    ),
}  # fmt: skip
"""By the API that a job was started with."""
