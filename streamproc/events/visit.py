"""One visit: a person in front of one camera, from the first sight to the last.

A plain value that changes: what was seen of somebody, what was told of it, and its form on disk.
Decides nothing; see visits.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from streamproc.events.identity import Person, Sighting, Views, Votes
from streamproc.events.schema import OpenVisit
from streamproc.model.event import iso
from streamproc.model.face import BoundingBox, Edges, overlap
from streamproc.model.members import stored_box_members

FOLLOWED_S: Final = 4.0
"""After which a place is anybody's."""

_MOVED: Final = 0.5  # overlap of two boxes below which it is worth telling
_SURER: Final = 1.0  # points of Similarity likewise

_PLACES_MAX: Final = 8


@dataclass(slots=True, eq=False)
class Place:
    """Where a face of somebody was; in a mirror there are two."""

    edges: Edges  # ratios of the picture
    at: float


@dataclass(slots=True, eq=False)
class Visit:
    """Somebody who is followed. One that has no id yet has not entered. Times are media time."""

    first_seen: float
    last_seen: float
    box: BoundingBox
    id: str = ""
    person: Person | None = None  # as the best match of the visit says
    number: int | None = None  # of a stranger, once there is one
    sure_at: float = 0.0  # when a face was theirs beyond its place
    frames: int = 0
    missed: int = 0  # frames since it was seen
    looked_from: float = 0.0  # the first look since a restart: nobody was missed before
    places: list[Place] = field(default_factory=list)
    views: Views = field(default_factory=Views)
    votes: Votes = field(default_factory=Votes)
    clear_frames: int = 0
    clear_from: float = 0.0
    clear_until: float = 0.0
    told_at: float = 0.0
    told_box: BoundingBox | None = None
    told_similarity: float = 0.0
    clarity: float = 0.0  # of the best view of which there is a picture
    is_in_doubt: bool = False  # the match that told of them is in the collection no more
    is_passed_over: bool = False  # would have entered, but too many are here

    @property
    def is_open(self) -> bool:
        return self.id != ""

    @property
    def name(self) -> str | None:
        """What people call them: "alice", "unknown-7", or None before they entered."""
        if self.person is not None:
            return self.person.name
        return f"unknown-{self.number}" if self.number is not None else None

    def seen(
        self, sighting: Sighting, box: BoundingBox, place: Place | None, at: float, *, is_sure: bool
    ) -> Place:
        """In the frame of this time, by this face, at or away from a place of theirs; the place
        where they are now. is_sure: whether the face is theirs beyond its place; only such a one
        shows what they look like."""
        if self.last_seen < at or self.frames == 0:
            self.frames += 1
            self.box = box
        self.last_seen = at
        self.missed = 0
        if is_sure:
            self.sure_at = at
        if place is None:
            self.settle(at)
            place = Place(box.edges, at)
            self.places = [*self.places, place][-_PLACES_MAX:]
        else:
            place.edges, place.at = box.edges, at
        if sighting.is_clear:
            if not self.clear_frames:
                self.clear_from = at
            self.clear_frames += self.clear_until < at or not self.clear_frames
            self.clear_until = at
            if is_sure and sighting.embedding is not None:
                self.views.add(sighting.embedding)
        return place

    def matched(self, people: Sequence[Person]) -> None:
        """A face of theirs with these matches: the best one tells of them."""
        for other in people:
            if self.person is None or other.name != self.person.name:
                continue
            if self.is_in_doubt or other.similarity > self.person.similarity:
                self.person = other
                self.is_in_doubt = False

    def lose_sight(self) -> None:
        """From here on only a match shows them again."""
        self.places, self.views, self.clarity = [], Views(), 0.0
        self.is_in_doubt = True

    def settle(self, at: float) -> None:
        """Drop places that say nothing any more."""
        self.places = [place for place in self.places if at - place.at <= FOLLOWED_S]

    def absorb(self, other: "Visit") -> None:
        """The other was this one all the time."""
        self.last_seen = max(self.last_seen, other.last_seen)
        self.sure_at = max(self.sure_at, other.sure_at)
        self.missed = min(self.missed, other.missed)
        self.places = [*self.places, *other.places][-_PLACES_MAX:]
        if len(other.views):
            for view in other.views.embeddings:
                self.views.add(view)

    @property
    def has_news(self) -> bool:
        """Whether they moved, or are recognised better, since they were last told of."""
        similarity = self.person.similarity if self.person else 0.0
        if similarity >= self.told_similarity + _SURER or self.told_box is None:
            return True
        return overlap(self.told_box.edges, self.box.edges) < _MOVED

    def told(self, at: float) -> None:
        self.told_at = at
        self.told_box = self.box
        self.told_similarity = self.person.similarity if self.person else 0.0

    @property
    def members(self) -> dict[str, Any]:
        """What every event of it says."""
        return {
            "VisitId": self.id,
            "Person": self._person_members(),
            "BoundingBox": stored_box_members(self.box),
            "FirstSeen": iso(self.first_seen),
            "LastSeen": iso(self.last_seen),
            "Frames": self.frames,
        }

    def _person_members(self) -> dict[str, Any]:
        person = self.person
        if person is None:
            return {"Name": self.name, "Known": False}
        members: dict[str, Any] = {
            "Name": person.name,
            "Known": True,
            "CollectionId": person.collection_id,
            "FaceId": person.face_id,
        }
        if person.external_image_id is not None:
            members["ExternalImageId"] = person.external_image_id
        return {**members, "Similarity": round(person.similarity, 3)}

    def kept(self, at: float) -> OpenVisit:
        """What a restart goes on with."""
        state = {
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "box": asdict(self.box),
            "person": asdict(self.person) if self.person else None,
            "number": self.number,
            "frames": self.frames,
            "told_at": self.told_at,
            "is_in_doubt": self.is_in_doubt,
        }
        return OpenVisit(self.id, at, self.members, state)

    @classmethod
    def restored(cls, kept: OpenVisit) -> "Visit":
        state: Mapping[str, Any] = kept.state
        visit = cls(
            first_seen=state["first_seen"],
            last_seen=state["last_seen"],
            box=BoundingBox(**state["box"]),
            id=kept.id,
            person=Person(**state["person"]) if state["person"] else None,
            number=state["number"],
            sure_at=state["last_seen"],
            frames=state["frames"],
            is_in_doubt=state.get("is_in_doubt", False),
        )
        visit.told(state["told_at"])
        return visit
