"""Whoever comes back: stays in the picture become people.

Pure. Knows what was seen of each stay, all of it; knows neither boxes nor frames.

Place tells nothing after an absence, so likeness alone decides, and the bar is high: two stays
are one person if they are as alike as one pair of strangers in a million. Where either was
not seen clearly, strangers are more alike than that (appearance.CLEAR), and half of what is left
up to identity is asked for on top: in facenet_pytorch_video.mp4, stays of one person that were
not clear reach cosines of 0.77 to 0.88, of two people 0.64 at most. Stays that overlap in time
are two people.
"""

from dataclasses import dataclass, field

from streamproc.jobs.appearance import Appearance
from streamproc.model.face import Embedding

PEOPLE_COMPARED_MAX = 500
"""People who were lost before this many others are no longer compared with those who come. What
was seen of them is kept until the end: LOOKS_MAX vectors at most, one of 2 kB as a rule with an
engine of 512 dimensions."""


@dataclass(slots=True, eq=False)
class Stay:
    """Somebody in the picture, from when they came until they were lost."""

    track: int
    first_ms: int
    last_ms: int
    appearance: Appearance  # empty if the engine gave no embedding
    frames: int = 0
    confidence: float = 0.0  # the highest of a face, 0 to 100


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, over the whole clip."""

    tracks: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]  # first and last ms of each track, one after the other
    appearance: Appearance
    frames: int
    confidence: float  # the highest of a face of theirs, 0 to 100

    def met(self, other: "Person") -> bool:
        """Whether the two were in the picture at the same time."""
        mine, theirs = iter(self.spans), iter(other.spans)
        span, span_other = next(mine, None), next(theirs, None)
        while span is not None and span_other is not None:
            if span[1] < span_other[0]:
                span = next(mine, None)
            elif span_other[1] < span[0]:
                span_other = next(theirs, None)
            else:
                return True
        return False


@dataclass(slots=True, eq=False)
class _Known:
    """A person in the making."""

    appearance: Appearance
    tracks: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    frames: int = 0
    confidence: float = 0.0
    embedding: Embedding | None = None  # of all that was seen
    clear: bool = False

    def join(self, stay: Stay) -> None:
        if self.tracks:
            self.appearance.merge(stay.appearance)
        self.tracks.append(stay.track)
        self.spans.append((stay.first_ms, stay.last_ms))
        self.frames += stay.frames
        self.confidence = max(self.confidence, stay.confidence)
        if self.appearance:
            whole = self.appearance.whole()
            self.embedding, self.clear = whole.embedding, whole.clear

    def person(self) -> Person:
        return Person(
            tuple(self.tracks), tuple(self.spans), self.appearance, self.frames, self.confidence
        )


class People:
    """Of one clip."""

    def __init__(self, surely_same_cosine: float) -> None:
        """surely_same_cosine: what one in a million pairs of pictures of strangers reaches."""
        self._surely = surely_same_cosine
        self._known: list[_Known] = []  # in the order in which they were lost
        self._forgotten: list[Person] = []

    def add(self, stay: Stay) -> None:
        """A stay that is over. They come in the order in which they ended; its appearance must
        not be used any more."""
        known = self._seen_before(stay)
        if known is None:
            known = _Known(stay.appearance)
        else:
            self._known.remove(known)
        known.join(stay)
        self._known.append(known)
        if len(self._known) > PEOPLE_COMPARED_MAX:
            self._forgotten.append(self._known.pop(0).person())

    def everybody(self) -> list[Person]:
        """In the order of their first appearance."""
        people = [*self._forgotten, *(known.person() for known in self._known)]
        return sorted(people, key=lambda person: person.tracks[0])  # tracks count up

    def _seen_before(self, stay: Stay) -> _Known | None:
        if not stay.appearance:
            return None
        whole = stay.appearance.whole()
        embedding = whole.embedding
        best, best_cosine = None, -1.0
        for known in self._known:
            if known.embedding is None or known.spans[-1][1] >= stay.first_ms:
                continue
            cosine = float(known.embedding @ embedding)
            clear = whole.clear and known.clear
            bar = self._surely if clear else (self._surely + 1.0) / 2
            if cosine >= bar and cosine > best_cosine:
                best, best_cosine = known, cosine
        return best
