"""The event service: what processors see and become, as events on disk before anybody hears.

Implements processor.ports.Watcher. Joins the visits of each processor, the log and the pictures;
decides nothing about who is who. How what the disk does not take waits is unwritten.py's.
"""

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

from streamproc.clock import Clock
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.events.deletions import Deletions
from streamproc.events.identity import Person, SimilarityOf, clarity_of
from streamproc.events.log import EventLog
from streamproc.events.pictures import FacePictures, Owner, face_jpeg, remove_all
from streamproc.events.schema import Draft, Standing
from streamproc.events.unwritten import Unwritten
from streamproc.events.visit import Visit
from streamproc.events.visits import GAP_S, Change, VisitPolicy, Visits
from streamproc.events.watched import EventFigures, Watched
from streamproc.model.event import EventKind
from streamproc.model.face import Face, Match
from streamproc.model.media import Frame
from streamproc.model.processor import ProcessorKey, ProcessorSpec
from streamproc.settings import EventsConfig

log = logging.getLogger(__name__)

Seen = Sequence[tuple[Face, Sequence[Match]]]

_PICTURES: Final = "faces-seen"  # a folder in the data folder

_TICK_S: Final = 1.0
_SWEEP_S: Final = 60.0
_KEEP_S: Final = 5.0  # media time after which open visits are on disk again as they are
_AFTER_START_S: Final = 120.0  # for models to load and cameras to come back
_CLEARER: Final = 1.25  # than its picture: then a visit gets another
_STATES_WAITING_MAX: Final = 1000
_IN_FLIGHT_S: Final = 3600.0  # a frame that was searched longer ago is not on its way any more
_STATE_S: Final = 1.0  # a change of state waits for the log no longer than this
_NO_DATE_S: Final = 253_402_300_799.0  # since the epoch: where the year 10 000 begins

_ENDS: Final = {"STOPPED": "stopped", "FAILED": "failed", "DELETED": "deleted"}
"""By state, why the visits of a processor that came to it end."""


class EventService:
    """Built by open(), left by aclose()."""

    def __init__(
        self,
        events: EventLog,
        pictures: FacePictures,
        config: EventsConfig,
        clock: Clock,
        similarity: SimilarityOf,
        roll: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self.log = events
        self._pictures = pictures
        self._policy = VisitPolicy(
            config.exit_after_s,
            config.update_s,
            config.strangers,
            config.stranger_memory_s,
            config.visits_max,
        )
        self._clock = clock
        self._similarity = similarity
        self._roll = roll
        self._new_id = new_id
        self._watched: dict[ProcessorKey, Watched] = {}
        self._deletions = Deletions()
        self._is_busy: Callable[[ProcessorKey], bool] = lambda _: False  # until go_on()
        self._ticking: asyncio.Task[None] | None = None
        self._tending = asyncio.Lock()  # held while it does not sleep
        self.figures = EventFigures(events, self._watched)

    @classmethod
    async def open(
        cls,
        folder: Path,
        config: EventsConfig,
        clock: Clock,
        similarity: SimilarityOf,
        *,
        roll: Callable[[], float] = random.random,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> Self:
        """Of a data folder: events.db, and faces-seen/ where pictures are kept. similarity is
        asked only once there are faces. Raises StoreDamaged, StoreUnavailable."""
        seen, kept_s = folder / _PICTURES, config.face_pictures_kept_hours * 3600.0
        pictures = FacePictures(seen if kept_s > 0 else None, kept_s, clock.now)
        if kept_s > 0:
            with _that_must_go(seen):
                await pictures.sweep()
        else:
            await remove_pictures(folder)
        events = await EventLog.open(
            folder / "events.db",
            clock,
            kept_s=config.kept_days * 86_400.0,
            kept_max=config.kept_max,
        )
        service = cls(events, pictures, config, clock, similarity, roll, new_id)
        for standing in await events.standings():
            service._watched[standing.key] = service._made(standing.key, standing)
        service._ticking = asyncio.create_task(service._tick(), name="events")
        return service

    async def aclose(self) -> None:
        """Open visits stay open: the next daemon goes on with them."""
        if self._ticking is not None:
            async with self._tending:  # no statement is cut off
                self._ticking.cancel()
            await asyncio.wait({self._ticking})
        for one in list(self._watched.values()):  # those that are deleted go with their flush
            with contextlib.suppress(StoreUnavailable, StoreDamaged):
                await one.unwritten.flush()
        await self._pictures.saved()
        await self.log.aclose()

    # --- Watcher --------------------------------------------------------------------------

    async def seen(
        self, spec: ProcessorSpec, frame: Frame, faces: Seen, report: Callable[[str], None]
    ) -> None:
        """As processor.ports.Watcher has it."""
        one = self._of(spec.key)
        one.heard_at, one.patience_s = self._clock.monotonic(), self._silence_s
        one.searched_from = one.seen_until
        if not 0.0 <= frame.timestamp < _NO_DATE_S:
            return  # no calendar has such a moment; its record tells what is known
        height, width = frame.image.shape[:2]
        faces = self.without_forgotten(spec, faces)
        changes = one.visits.saw(frame.timestamp, (width, height), faces, spec.collection_id)
        self._tell(spec.key, one, changes)
        await self._picture(spec, one.visits.owners, frame, faces)
        is_due = abs(frame.timestamp - one.kept_at) >= _KEEP_S and one.visits.open
        if one.unwritten or is_due:
            one.kept_at = frame.timestamp
            try:
                await one.unwritten.insist(report)
            finally:
                one.heard_at = self._clock.monotonic()
        one.seen_until = self._clock.monotonic()

    async def state_changed(
        self, spec: ProcessorSpec, state: str, previous: str | None, message: str
    ) -> None:
        """As processor.ports.Watcher has it."""
        one = self._of(spec.key)
        self._became(spec.key, one, state, previous, message)
        try:
            async with asyncio.timeout(_STATE_S):
                await one.unwritten.flush()
        except (StoreUnavailable, StoreDamaged) as error:  # tried again by the next tick
            log.error("%s of processor %s is not told yet: %s", state, spec.name, error)
        except TimeoutError:
            log.warning("%s of processor %s is not told yet: the log is slow", state, spec.name)

    def go_on(
        self,
        processors: Iterable[tuple[ProcessorSpec, str, str]],
        is_busy: Callable[[ProcessorKey], bool],
    ) -> None:
        """What became of processors without a word, as where a daemon was killed between the change
        and its event, is told now. processors: every one there is, with its state and message, none
        of which changed since it was asked for. is_busy: whether a processor has a frame in hand,
        so that it is no silence if none comes."""
        self._is_busy = is_busy
        there = set()
        for spec, state, message in processors:
            there.add(spec.key)
            one = self._watched.get(spec.key)
            if one is not None and one.status not in {None, state}:
                self._became(spec.key, one, state, one.status, message)
        for key in self._watched.keys() - there:
            one = self._watched[key]
            if one.status == "DELETED":
                one.unwritten.is_deleted = True
            else:
                self._became(key, one, "DELETED", one.status, "")

    # --- what others ask ------------------------------------------------------------------

    def names(self, key: ProcessorKey) -> tuple[str | None, ...]:
        """Of the faces of the processor's last frame, in their order; None while nobody knows."""
        one = self._watched.get(key)
        return tuple(owner.name if owner else None for owner in one.visits.owners) if one else ()

    def open_visits(self, region: str | None = None) -> list[dict[str, Any]]:
        """Who is in front of which camera: members of their events, with Processor."""
        return [
            {"Region": key[0], "Processor": key[1], **visit.members}
            for key, one in self._watched.items()
            if region is None or key[0] == region
            for visit in one.visits.open
        ]

    async def face_picture(self, visit_id: str, region: str) -> bytes | None:
        """JPEG of whoever the visit is of, with a wide margin; None where there is none."""
        return await self._pictures.get(visit_id, region)

    async def forget(
        self, region: str, collection_id: str, face_ids: Collection[str] | None
    ) -> None:
        """These faces of a collection, None for all, are deleted: no picture of them is left when
        this returns, and who was known by them has to be recognised by others.

        Raises StoreUnavailable if a picture cannot be removed.
        """
        self._deletions.note(region, collection_id, face_ids, self._clock.monotonic())
        visit_ids = {
            visit_id
            for key, one in self._watched.items()
            if key[0] == region
            for visit_id in one.visits.forget(collection_id, face_ids)
        }
        try:
            await self._pictures.forget(region, collection_id, face_ids, visit_ids)
        except OSError as error:
            raise StoreUnavailable(
                f"a picture of a seen face cannot be removed: {error}"
            ) from error

    def without_forgotten(self, spec: ProcessorSpec, faces: Seen) -> Seen:
        """The frame that is being seen, or was seen last: one that was searched before a face was
        deleted does not bring it back. A processor searches a frame when it is done with the one
        before."""
        one = self._watched.get(spec.key)
        since = one.searched_from if one is not None else -math.inf
        return self._deletions.without(spec.region, spec.collection_id, faces, since)

    # --- inside ---------------------------------------------------------------------------

    @property
    def _silence_s(self) -> float:
        return self._policy.exit_after_s + GAP_S

    def _of(self, key: ProcessorKey) -> Watched:
        one = self._watched.get(key)
        if one is None:
            one = self._watched[key] = self._made(key, None)
        return one

    def _became(
        self, key: ProcessorKey, one: Watched, state: str, previous: str | None, message: str
    ) -> None:
        one.heard_at = self._clock.monotonic()
        if state in _ENDS:
            self._tell(key, one, one.visits.close(_ENDS[state]))
        one.unwritten.is_deleted = state == "DELETED"
        if len(one.unwritten) >= _STATES_WAITING_MAX:
            log.error("%s of processor %s is not told: the event log is full", state, key[1])
            return
        one.status = str(state)
        body = {"Status": str(state), "PreviousStatus": previous and str(previous)}
        told = {name: value for name, value in body.items() if value is not None}
        if message:
            told["StatusMessage"] = message
        one.unwritten.add([Draft(EventKind.STATE, *key, self._clock.now(), told)])

    def _made(self, key: ProcessorKey, left: Standing | None) -> Watched:
        """left: by an earlier daemon."""
        visits = Visits(key, self._policy, self._similarity, self._new_id, left)

        def gone() -> None:
            if self._watched.get(key) is one:  # and nobody made another of its name meanwhile
                del self._watched[key]
                self.figures.goes(one)

        def standing() -> Standing:
            return replace(visits.standing, status=one.status)

        unwritten = Unwritten(self.log, standing, gone, self._clock, self._roll)
        one = Watched(visits, unwritten, _AFTER_START_S, self._clock.monotonic())
        one.status = left.status if left is not None else None
        return one

    def _tell(self, key: ProcessorKey, one: Watched, changes: Sequence[Change]) -> None:
        region, name = key
        one.unwritten.add(
            Draft(change.kind, region, name, change.at, change.body) for change in changes
        )
        for change in changes:
            self._own(region, one, change)

    def _own(self, region: str, one: Watched, change: Change) -> None:
        """The picture of a visit is of whom it turned out to be, and goes with their face."""
        into = change.body.get("MergedInto")
        if into is not None:
            people = [visit.person for visit in one.visits.open if visit.id == into]
            owners = [_owner(region, person) for person in people]
        elif change.kind is EventKind.EXIT or change.body.get("Change") == "identified":
            person = change.body["Person"]
            owners = [Owner(region, person.get("CollectionId", ""), person.get("FaceId", ""))]
        else:
            return
        for owner in owners:
            if owner.face_id:
                self._pictures.own(change.body["VisitId"], owner)

    async def _picture(
        self, spec: ProcessorSpec, owners: Sequence[Visit | None], frame: Frame, faces: Seen
    ) -> None:
        """Better views of people than there were."""
        for visit, (face, _) in zip(owners, faces, strict=False):  # none of a repeated frame
            if visit is None:
                continue
            height, width = frame.image.shape[:2]
            side = (face.box.area * width * height) ** 0.5 if face.box.area > 0 else 0.0
            clarity = clarity_of(face, side)
            if clarity < visit.clarity * _CLEARER:
                continue
            visit.clarity = clarity
            try:
                jpeg = await asyncio.to_thread(face_jpeg, frame.image, face.box)
            except Exception:  # OpenCV has its own; a visit without a picture is one all the same
                log.warning("no picture of a face could be made", exc_info=True)
                continue
            if not visit.is_in_doubt:  # then their face was deleted meanwhile
                self._pictures.put(visit.id, _owner(spec.region, visit.person), jpeg)

    async def _tick(self) -> None:
        """What happens though nobody sees anything."""
        swept_at = -_SWEEP_S
        while True:
            now = self._clock.monotonic()
            try:
                async with self._tending:
                    await self._looked_after(now)
                    if now - swept_at >= _SWEEP_S:
                        swept_at = now
                        await self._swept()
            except Exception:  # visits still have to end, whatever went wrong with one of them
                log.exception("events were not looked after, trying again")
            await self._clock.sleep(_TICK_S)

    async def _looked_after(self, now: float) -> None:
        for key, one in list(self._watched.items()):
            if self._is_busy(key):
                one.heard_at = now
            is_silent = now - one.heard_at > one.patience_s
            if is_silent and one.visits.open and not one.unwritten.is_held_up:
                self._tell(key, one, one.visits.lose_video())
            if one.unwritten or one.unwritten.is_deleted:
                with contextlib.suppress(StoreUnavailable, StoreDamaged):  # again next time
                    await one.unwritten.flush()

    async def _swept(self) -> None:
        self._deletions.prune(self._clock.monotonic() - _IN_FLIGHT_S)
        try:
            await self.log.prune()
            await self._pictures.sweep()
        except (StoreUnavailable, StoreDamaged, OSError) as error:
            log.warning("what is kept no longer could not be removed: %s", error)


async def remove_pictures(folder: Path) -> None:
    """No picture of a seen face is left in this data folder, whatever an earlier daemon kept.
    Raises StoreUnavailable."""
    seen = folder / _PICTURES
    with _that_must_go(seen):
        await asyncio.to_thread(remove_all, seen)


@contextlib.contextmanager
def _that_must_go(seen: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"{seen} holds pictures of faces that may not be kept any longer, and cannot be "
            f"removed: {error}; remove it, and start again"
        ) from error


def _owner(region: str, person: Person | None) -> Owner:
    return Owner(region, person.collection_id, person.face_id) if person else Owner(region)
