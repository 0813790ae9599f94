"""Whose face is whose: from the faces of one frame to the people of the frames before.

Pure. A face with matches belongs to the person they name, wherever it is. One without belongs to
whoever just was in its place, unless it is clearly another's, or to whoever looks like it. A place
alone confirms nobody: without a match or a likeness it is theirs for a while only. Knows nothing of
who has entered or left; see visits.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from streamproc.events.evidence import Evidence
from streamproc.events.identity import Sighting, SimilarityOf, nearest
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
_UNLIKE_S: Final = 1.5  # without a sure sight of them; then so much of a difference is another

_DOUBTED_S: Final = 5.0
"""Without a sure sight of somebody, a clear face in their place is theirs for so long."""
_HIDDEN_S: Final = 60.0
"""And one that tells nothing, turned away or blurred, for so long."""

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
        """The open visit of whoever looks exactly like this one, who has not entered: the same,
        in a mirror or so."""
        others = [other for other in self.people if other.is_open and len(other.views)]
        if not others or not len(one.views):
            return None
        cosines = nearest([other.views for other in others], one.views.embeddings).max(axis=1)
        is_twin = self._similarity(float(cosines.max())) >= _TWICE
        return others[int(cosines.argmax())] if is_twin else None

    def drop(self, gone: Visit) -> None:
        self.people = [one for one in self.people if one is not gone]

    def follow(
        self, picture: Picture, boxes: Sequence[BoundingBox], sightings: Sequence[Sighting]
    ) -> list[Visit]:
        """Whose each face is, somebody new's if nobody else's; their places and votes are those
        of this picture then."""
        evidence = Evidence(self.people, sightings, picture.at, picture.size, self._similarity)
        turn = _Turn(self, evidence, picture, boxes, sightings)
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
        evidence: Evidence,
        picture: Picture,
        boxes: Sequence[BoundingBox],
        sightings: Sequence[Sighting],
    ) -> None:
        self._following = following
        self._evidence = evidence
        self._picture = picture
        self._named = {
            one.person.name: one for one in following.people if one.is_open and one.person
        }
        self._order = {one: number for number, one in enumerate(following.people)}
        self._boxes = boxes
        self._sightings = sightings
        self._owners: dict[int, Visit] = {}
        self._taken: set[Place] = set()

    def dealt(self) -> list[Visit]:
        sightings = self._sightings
        matched = [number for number, one in enumerate(sightings) if one.people]
        for number in sorted(matched, key=lambda at: -sightings[at].people[0].similarity):
            for owner in self._of_person(number):
                self._give(number, owner)
        unmatched = [number for number, one in enumerate(sightings) if not one.people]
        for _, number, owner in self._claims(unmatched):
            if number not in self._owners and self._may_still_claim(owner, number):
                self._give(number, owner)
        for number in range(len(sightings)):
            if number not in self._owners:
                somebody = Visit(self._picture.at, self._picture.at, self._boxes[number])
                self._following.people.append(somebody)
                self._give(number, somebody)
        return [self._owners[number] for number in range(len(sightings))]

    def _give(self, number: int, owner: Visit) -> None:
        sighting, at = self._sightings[number], self._picture.at
        found = self._near(owner, number)
        place = found[0] if found else None
        is_sure = self._is_surely(owner, number)
        taken = owner.seen(sighting, self._boxes[number], place, at, is_sure=is_sure)
        self._taken.add(taken)
        if owner.person is None:
            proves = bool(sighting.people) and not sighting.is_blurred
            owner.votes.add(at, sighting.people[0] if proves else None)
        else:
            owner.matched(sighting.people)
        self._owners.setdefault(number, owner)

    def _of_person(self, number: int) -> list[Visit]:
        """Whose a face with matches is; and the stranger who turns out to be that person."""
        best, *others = self._sightings[number].people
        own = self._named.get(best.name)
        if own is None:  # the second best, if it is they who are followed there
            seconds = (self._named.get(person.name) for person in others)
            own = next((one for one in seconds if one and self._near(one, number)), None)
        stranger = self._stranger_in(number)
        if own is None:
            return [stranger] if stranger else []
        if stranger is None or not stranger.is_open:
            return [own]
        is_alike = (self._evidence.likeness(stranger, number) or 0.0) >= _SAME
        return [own, stranger] if is_alike or self._near(own, number) is None else [own]

    def _stranger_in(self, number: int) -> Visit | None:
        """Of those without a name the one whom this face shows, if it does."""
        best: tuple[float, Visit] | None = None
        for one in self._candidates(number):
            if one.person is not None or (one.is_open and not len(one.views)):
                continue  # of a stranger after a restart there is nothing that could confirm it
            likeness = self._evidence.likeness(one, number)
            sureness = likeness if likeness is not None and likeness >= _SAME else None
            near = self._near(one, number)
            if near is not None and (likeness is None or likeness >= _OTHER):
                sureness = 100.0 + (likeness or 0.0)
            if sureness is not None and (best is None or sureness > best[0]):
                best = sureness, one
        return best[1] if best else None

    def _claims(self, numbers: Sequence[int]) -> list[Claim]:
        """Who may say that a face without matches is theirs, the best founded first."""
        claims: list[Claim] = []
        for number in numbers:
            for one in self._candidates(number):
                likeness, near = self._evidence.likeness(one, number), self._near(one, number)
                if near is not None and self._may_be(one, likeness, near):
                    place, far = near
                    # Whoever was there a moment ago comes before who left seconds ago.
                    nearness = 40.0 * (1.0 - far) - 15.0 * min(self._picture.at - place.at, 2.0)
                    claims.append((nearness + (likeness or 60.0), number, one))
                elif likeness is not None and likeness >= _SAME:
                    claims.append((likeness - 20.0, number, one))
        return sorted(claims, key=lambda claim: -claim[0])

    def _candidates(self, number: int) -> list[Visit]:
        """Whose the face may be by its place, or by its look wherever it is."""
        found = {*self._evidence.around(number), *self._evidence.alike(number, _SAME)}
        return sorted(found, key=self._order.__getitem__)

    def _may_still_claim(self, one: Visit, number: int) -> bool:
        """Whether it is theirs after what others, and they themselves, have been given."""
        likeness, near = self._evidence.likeness(one, number), self._near(one, number)
        if near is not None and self._may_be(one, likeness, near):
            return True
        return (likeness or 0.0) >= (_TWICE if one.last_seen == self._picture.at else _SAME)

    def _may_be(self, one: Visit, likeness: float | None, near: tuple[Place, float]) -> bool:
        """Whether a face near somebody's place is not clearly another's, nor theirs by its place
        alone for too long."""
        (place, far), unsure_s = near, self._picture.at - one.sure_at
        if likeness is None:
            return unsure_s <= _HIDDEN_S
        if likeness >= _SAME:
            return True
        is_at_once = self._picture.at - place.at <= _AT_ONCE_S and far <= _STILL
        least = _OTHER_AT_ONCE if is_at_once and unsure_s <= _UNLIKE_S else _OTHER
        return likeness >= least and unsure_s <= _DOUBTED_S

    def _is_surely(self, one: Visit, number: int) -> bool:
        """Whether a face is theirs beyond its place."""
        sighting = self._sightings[number]
        if any(person.name == one.name for person in sighting.people) and not sighting.is_blurred:
            return True
        if not len(one.views):
            return one.person is None
        return (self._evidence.likeness(one, number) or 0.0) >= _SAME

    def _near(self, one: Visit, number: int) -> tuple[Place, float] | None:
        return self._evidence.near(one, number, self._taken)
