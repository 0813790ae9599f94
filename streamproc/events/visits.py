"""From the faces of frame after frame to visits: who came in, who is here, who left.

Pure: fed with media time, it has no clock, no disk and no chance but new_id. A visit is one
enter, some updates and at most one exit, in order of time. Who somebody is takes more than one
frame; whoever turns away or is covered for a moment stays. Bounded by visits_max. Whose face is
whose is following.py's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamproc.events.following import Following, Picture
from streamproc.events.identity import Person, SimilarityOf, Strangers, sighting_of
from streamproc.events.schema import Standing
from streamproc.events.visit import Place, Visit
from streamproc.model.event import EventKind
from streamproc.model.face import Face, Match
from streamproc.model.processor import ProcessorKey

_REPEATED_S_MAX: Final = 15.0
"""A frame that is older than the last by less was seen before: a fragment, and a long one lasts so
long, came again. One that is older by more begins another time: a camera's clock was set."""
_RESTART_REPEATED_S_MAX: Final = 60.0  # all whose records had not been delivered comes again

GAP_S: Final = 10.0
"""Video that shows nothing for this much longer than exit_after_s is lost, and nobody left."""

_RESTART_GAP_S: Final = 300.0  # media time that a restart may miss, for people with names
_RESTART_STRANGER_GAP_S: Final = 15.0  # and for people whom only their place tells

_STRANGER_FRAMES: Final = 3  # clear ones before a stranger enters,
_STRANGER_S: Final = 1.0  # and how long they span
_PASSING_S: Final = 2.0  # out of sight for so long, and
_PASSING_FRAMES: Final = 3  # for so many frames: whoever has not entered is forgotten
_MISSED_MIN: Final = 2  # frames, however far apart, before somebody counts as gone


@dataclass(frozen=True, slots=True)
class VisitPolicy:
    """What a person may set; see EventsConfig."""

    exit_after_s: float = 5.0
    update_s: float = 10.0
    strangers: bool = True
    stranger_memory_s: float = 60.0
    visits_max: int = 100


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be told: an event without its place and processor."""

    kind: EventKind
    at: float
    body: dict[str, Any]


class Visits:
    """Of one processor."""

    def __init__(
        self,
        key: ProcessorKey,
        policy: VisitPolicy,
        similarity: SimilarityOf,
        new_id: Callable[[], str],
        standing: Standing | None = None,
    ) -> None:
        """standing: what an earlier daemon left."""
        left = standing or Standing(key)
        self._key = key
        self._policy = policy
        self._new_id = new_id
        self._strangers = Strangers(left.strangers, policy.stranger_memory_s, similarity)
        self._following = Following(similarity, [Visit.restored(one) for one in left.visits])
        self._at = left.media_s
        self._repeated_s_max = _RESTART_REPEATED_S_MAX
        self._is_restored = bool(left.visits)
        self._owners: tuple[Visit, ...] = ()
        self.repeated_total = 0  # frames
        self.passed_over_total = 0  # people who would have entered beyond visits_max

    @property
    def open(self) -> list[Visit]:
        return [one for one in self._following.people if one.is_open]

    @property
    def owners(self) -> tuple[Visit | None, ...]:
        """Of each face of the last frame, in their order, the visit it belongs to; None while
        that has not entered."""
        return tuple(one if one.is_open else None for one in self._owners)

    @property
    def standing(self) -> Standing:
        """What a restart goes on with."""
        at = self._at
        kept = tuple(one.kept(at) for one in self.open) if at is not None else ()
        return Standing(self._key, at, self._strangers.named, kept)

    def saw(
        self,
        at: float,
        size: tuple[int, int],
        faces: Sequence[tuple[Face, Sequence[Match]]],
        collection_id: str,
    ) -> list[Change]:
        """What the next frame changes. at: media time in seconds; size: the picture's width and
        height; each face comes with its matches in this collection, best first."""
        before, self._owners = self._at, ()
        if before is not None and before - self._repeated_s_max < at <= before:
            self.repeated_total += 1
            return []
        self._repeated_s_max = _REPEATED_S_MAX
        changes = [] if before is None else self._ended_by_gap(before, at)
        self._at = at
        sightings = [sighting_of(face, matches, size, collection_id) for face, matches in faces]
        boxes = [face.box for face, _ in faces]
        owners = self._following.follow(Picture(at, size), boxes, sightings)
        since_last_s = None if before is None else at - before
        merged: dict[int, Visit] = {}
        people = list(self._following.people)
        for one in (one for one in people if one.last_seen == at):
            changes += self._seen(one, at, since_last_s, merged)
        for one in (one for one in people if one.last_seen < at):
            changes += self._missed(one, at)
        self._owners = tuple(merged.get(id(owner), owner) for owner in owners)
        return changes

    def close(self, reason: str) -> list[Change]:
        """The processor is no longer at work: every open visit ends for this reason. What comes
        next is new, be it the same video once more."""
        changes = self._all_lost(reason)
        self._strangers.forget()
        self._at = None
        return changes

    def lose_video(self) -> list[Change]:
        """There is nothing to see for so long that every open visit ends."""
        return self._all_lost("video-lost")

    def forget(self, collection_id: str, face_ids: Iterable[str] | None) -> list[str]:
        """These faces are in the collection no more; None: all. Their visits go on only if
        another match confirms them. The ids of those visits."""
        gone = None if face_ids is None else set(face_ids)
        named = [
            one
            for one in self.open
            if one.person is not None
            and one.person.collection_id == collection_id
            and (gone is None or one.person.face_id in gone)
        ]
        for one in named:
            one.lose_sight()
        for one in self._following.people:
            one.votes.forget(collection_id, gone)
        return [one.id for one in named]

    def _ended_by_gap(self, before: float, at: float) -> list[Change]:
        """Nobody looked for so long, or in another time altogether."""
        gap = at - before
        if gap < 0:
            changes = self._all_lost("video-lost")
            self._strangers.forget()  # when they left is no time of this
            return changes
        changes = []
        for one in list(self._following.people):
            gap_max = self._policy.exit_after_s + GAP_S
            if self._is_restored:
                gap_max = _RESTART_GAP_S if one.person else _RESTART_STRANGER_GAP_S
            if gap > max(gap_max, self._policy.exit_after_s):
                changes += self._lost(one, before, "video-lost")
            elif self._is_restored:
                one.looked_from = at
                if one.person is None:  # a name is lent by no place: a match has to bring it back
                    one.places = [Place(one.box.edges, at - min(gap, 1.0))]
        self._is_restored = False
        return changes

    def _seen(
        self, one: Visit, at: float, since_last_s: float | None, merged: dict[int, Visit]
    ) -> list[Change]:
        """A frame with them. merged, by id() of whoever turned out to be somebody else, says who
        that is."""
        person = one.votes.certain(at, since_last_s) if one.person is None else None
        if person is not None:
            other = self._following.named(person.name)
            changes = self._recognised(one, person, at) if one.is_open or other is None else []
        elif one.is_open:
            is_due = at - one.told_at >= self._policy.update_s and one.has_news
            return [self._told(one, EventKind.UPDATE, at, Change="progress")] if is_due else []
        elif one.is_passed_over and self._is_full:
            return []
        elif self._is_stranger(one):
            other = self._following.twin(one)
            changes = self._enter(one, at, None) if other is None else []
        else:
            return []
        if other is not None:
            merged[id(one)] = other
            changes += self._merged(one, other, at)
        return changes

    def _missed(self, one: Visit, at: float) -> list[Change]:
        """A frame without them."""
        one.missed += 1
        one.settle(at)
        unseen_s = at - max(one.last_seen, one.looked_from)
        if one.is_open:
            if unseen_s > self._policy.exit_after_s and one.missed >= _MISSED_MIN:
                return self._lost(one, at, "left")
            return []
        one.votes.add(at, None)
        if unseen_s > _PASSING_S and one.missed >= _PASSING_FRAMES:
            self._following.drop(one)
        return []

    def _recognised(self, one: Visit, person: Person, at: float) -> list[Change]:
        """Somebody without a name has one now."""
        was, one.sure_at = one.name, at
        if one.is_open:
            one.person = person
            return [self._told(one, EventKind.UPDATE, at, Change="identified", WasName=was)]
        return self._enter(one, at, person)

    def _merged(self, one: Visit, other: Visit, at: float) -> list[Change]:
        """One turns out to be the other, who is here already."""
        other.absorb(one)
        self._following.drop(one)
        return [self._exit(one, at, "merged", MergedInto=other.id)] if one.is_open else []

    @property
    def _is_full(self) -> bool:
        return len(self.open) >= self._policy.visits_max

    def _is_stranger(self, one: Visit) -> bool:
        """Whether somebody was seen long and well enough to say that nobody knows them."""
        is_clear = (
            one.clear_frames >= _STRANGER_FRAMES
            and one.clear_until - one.clear_from >= _STRANGER_S
            and len(one.views) > 0
        )
        return self._policy.strangers and is_clear and not one.votes.has_any

    def _enter(self, one: Visit, at: float, person: Person | None) -> list[Change]:
        if self._is_full:
            self.passed_over_total += not one.is_passed_over
            one.is_passed_over = True
            return []
        one.person = person
        if person is None:
            one.number = self._strangers.number_of(one.views, at)
        one.id = self._new_id()
        return [self._told(one, EventKind.ENTER, at)]

    def _all_lost(self, reason: str) -> list[Change]:
        changes: list[Change] = []
        for one in list(self._following.people):
            changes += self._lost(one, self._at or one.told_at, reason)
        self._owners, self._is_restored = (), False
        return changes

    def _lost(self, one: Visit, at: float, reason: str) -> list[Change]:
        self._following.drop(one)
        if not one.is_open:
            return []
        if one.person is None and one.number is not None:
            self._strangers.left(one.number, one.views, at)
        return [self._exit(one, at, reason)]

    def _exit(self, one: Visit, at: float, reason: str, **members: Any) -> Change:
        duration_s = round(one.last_seen - one.first_seen, 3)
        return self._told(
            one, EventKind.EXIT, at, DurationSeconds=duration_s, Reason=reason, **members
        )

    def _told(self, one: Visit, kind: EventKind, at: float, **members: Any) -> Change:
        at = max(at, one.told_at)
        one.told(at)
        return Change(kind, at, {**one.members, **members})
