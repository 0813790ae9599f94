"""Whose face is whose: from the faces of one frame to the people of the frames before.

Pure. A face with matches belongs to the person they name, wherever it is. One without belongs to
whoever just was in its place, unless it is clearly another's, or to whoever looks like it. Knows
nothing of who has entered or left; see visits.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from streamproc.events.identity import Sighting, SimilarityOf
from streamproc.events.visit import Place, Visit
from streamproc.model.face import BoundingBox

Claim: TypeAlias = tuple[float, int, Visit]
"""How well founded, on which face, by whom."""

_OTHER: Final = 50.0
"""Similarity to every view of somebody below which a clear face is clearly another's."""

_OTHER_AT_ONCE: Final = 25.0
"""The same where somebody stood still a moment ago: nobody takes another's place so fast, and a
head that turns, or light that changes, makes much of a difference."""
_AT_ONCE_S: Final = 0.7
_STILL: Final = 0.4  # of what they may have moved

_SAME: Final = 85.0  # from which somebody out of sight is found again elsewhere
_TWICE: Final = 95.0  # from which somebody in sight is seen a second time: a mirror, a poster

_FOLLOWED_MAX: Final = 128  # people followed who have not entered


@dataclass(frozen=True, slots=True)
class Picture:
    """What the faces at hand were found in."""

    at: float  # media time, seconds
    size: tuple[int, int]  # width and height, pixels


class Following:
    """The people of one camera, those who have entered and those who may."""

    def __init__(self, similarity: SimilarityOf, people: Sequence[Visit] = ()) -> None:
        self._similarity = similarity
        self.people = list(people)

    def named(self, name: str) -> Visit | None:
        """The open visit of this person."""
        for one in self.people:
            if one.is_open and one.person is not None and one.person.name == name:
                return one
        return None

    def twin(self, one: Visit) -> Visit | None:
        """The open visit of whoever looks exactly like this: the same, in a mirror or so."""
        for other in self.people:
            if not other.is_open or other is one:
                continue
            likenesses = (
                other.views.likeness(view, self._similarity) or 0.0 for view in one.views.embeddings
            )
            if max(likenesses, default=0.0) >= _TWICE:
                return other
        return None

    def drop(self, gone: Visit) -> None:
        self.people = [one for one in self.people if one is not gone]

    def follow(
        self, picture: Picture, boxes: Sequence[BoundingBox], sightings: Sequence[Sighting]
    ) -> list[Visit]:
        """Whose each face is, somebody new's if nobody else's; their places and votes are those
        of this picture then."""
        turn = _Turn(self, self._similarity, picture, boxes, sightings)
        owners = turn.dealt()
        passing = sorted(
            (one for one in self.people if not one.is_open), key=lambda one: one.last_seen
        )
        for one in passing[: max(len(passing) - _FOLLOWED_MAX, 0)]:  # a crowd passes
            self.drop(one)
        return owners


class _Turn:
    """One picture's faces, dealt out."""

    def __init__(
        self,
        following: Following,
        similarity: SimilarityOf,
        picture: Picture,
        boxes: Sequence[BoundingBox],
        sightings: Sequence[Sighting],
    ) -> None:
        self._following = following
        self._similarity = similarity
        self._picture = picture
        self._boxes = boxes
        self._sightings = sightings
        self._owners: dict[int, Visit] = {}
        self._taken: list[Place] = []

    def dealt(self) -> list[Visit]:
        sightings = self._sightings
        matched = [number for number, one in enumerate(sightings) if one.people]
        for number in sorted(matched, key=lambda at: -sightings[at].people[0].similarity):
            for owner in self._of_person(sightings[number]):
                self._give(number, owner)
        unmatched = [number for number, one in enumerate(sightings) if not one.people]
        for _, number, owner in self._claims(unmatched):
            if number not in self._owners and self._may_still_claim(owner, sightings[number]):
                self._give(number, owner)
        for number in range(len(sightings)):
            if number not in self._owners:
                somebody = Visit(self._picture.at, self._picture.at, self._boxes[number])
                self._following.people.append(somebody)
                self._give(number, somebody)
        return [self._owners[number] for number in range(len(sightings))]

    def _give(self, number: int, owner: Visit) -> None:
        sighting, at = self._sightings[number], self._picture.at
        found = self._near(owner, sighting)
        place = found[0] if found else None
        keeps = self._shows(owner, sighting)
        taken = owner.seen(sighting, self._boxes[number], place, at, keeps=keeps)
        self._taken.append(taken)
        if owner.person is None:
            proves = bool(sighting.people) and not sighting.is_blurred
            owner.votes.add(at, sighting.people[0] if proves else None)
        else:
            owner.matched(sighting.people)
        self._owners.setdefault(number, owner)

    def _of_person(self, sighting: Sighting) -> list[Visit]:
        """Whose a face with matches is; and the stranger who turns out to be that person."""
        own = self._following.named(sighting.people[0].name)
        if own is None:  # the second best, if it is they who are followed there
            seconds = (self._following.named(person.name) for person in sighting.people[1:])
            own = next((one for one in seconds if one and self._near(one, sighting)), None)
        stranger = self._stranger_in(sighting)
        if own is None:
            return [stranger] if stranger else []
        if stranger is None or not stranger.is_open:
            return [own]
        is_alike = (self._likeness(stranger, sighting) or 0.0) >= _SAME
        return [own, stranger] if is_alike or self._near(own, sighting) is None else [own]

    def _stranger_in(self, sighting: Sighting) -> Visit | None:
        """Of those without a name the one whom this face shows, if it does."""
        best: tuple[float, Visit] | None = None
        for one in self._following.people:
            if one.person is not None:
                continue
            likeness = self._likeness(one, sighting)
            sureness = likeness if likeness is not None and likeness >= _SAME else None
            near = self._near(one, sighting)
            if near is not None and self._may_be(likeness, near):
                sureness = 100.0 + (likeness or 0.0)
            if sureness is not None and (best is None or sureness > best[0]):
                best = sureness, one
        return best[1] if best else None

    def _claims(self, numbers: Sequence[int]) -> list[Claim]:
        """Who may say that a face without matches is theirs, the best founded first."""
        claims: list[Claim] = []
        for number in numbers:
            sighting = self._sightings[number]
            for one in self._following.people:
                likeness, near = self._likeness(one, sighting), self._near(one, sighting)
                if near is not None and self._may_be(likeness, near):
                    place, far = near
                    # Whoever was there a moment ago comes before who left seconds ago.
                    nearness = 40.0 * (1.0 - far) - 15.0 * min(self._picture.at - place.at, 2.0)
                    claims.append((nearness + (likeness or 60.0), number, one))
                elif likeness is not None and likeness >= _SAME:
                    claims.append((likeness - 20.0, number, one))
        return sorted(claims, key=lambda claim: -claim[0])

    def _may_still_claim(self, one: Visit, sighting: Sighting) -> bool:
        """Whether it is theirs after what others, and they themselves, have been given."""
        likeness, near = self._likeness(one, sighting), self._near(one, sighting)
        if near is not None and self._may_be(likeness, near):
            return True
        return (likeness or 0.0) >= (_TWICE if one.last_seen == self._picture.at else _SAME)

    def _may_be(self, likeness: float | None, near: tuple[Place, float]) -> bool:
        """Whether a face near somebody's place is not clearly another's."""
        place, far = near
        is_at_once = self._picture.at - place.at <= _AT_ONCE_S and far <= _STILL
        return likeness is None or likeness >= (_OTHER_AT_ONCE if is_at_once else _OTHER)

    def _shows(self, one: Visit, sighting: Sighting) -> bool:
        """Whether this face may be kept as what they look like: it has to be theirs for sure."""
        if any(person.name == one.name for person in sighting.people):
            return True
        if not len(one.views):
            return one.person is None
        return (self._likeness(one, sighting) or 0.0) >= _SAME

    def _near(self, one: Visit, sighting: Sighting) -> tuple[Place, float] | None:
        return one.near(sighting, self._picture.size, self._picture.at, self._taken)

    def _likeness(self, one: Visit, sighting: Sighting) -> float | None:
        if not sighting.is_clear or sighting.embedding is None:
            return None
        return one.views.likeness(sighting.embedding, self._similarity)
