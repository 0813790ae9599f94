"""The event service: what processors see and become, as events on disk before anybody hears.

Implements processor.ports.Watcher. Joins the visits of each processor, the log and the pictures;
decides nothing about who is who. What the disk does not take waits, in order, and nothing of it
is told meanwhile.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import StoreDamaged, StoreUnavailable
from streamproc.events.identity import SimilarityOf, clarity_of
from streamproc.events.log import EventLog
from streamproc.events.pictures import FacePictures, Owner, face_jpeg, remove_all
from streamproc.events.schema import Draft, Standing
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

_TICK_S: Final = 1.0
_SWEEP_S: Final = 60.0
_KEEP_S: Final = 5.0  # media time after which open visits are on disk again as they are
_AFTER_START_S: Final = 120.0  # for models to load and cameras to come back
_CLEARER: Final = 1.25  # than its picture: then a visit gets another
_STATES_WAITING_MAX: Final = 1000
_FORGOTTEN_MAX: Final = 10_000
_IN_FLIGHT_S: Final = 60.0  # a frame that was searched longer ago has been seen, or never will be
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
        self._writing: set[asyncio.Task[None]] = set()
        self._forgotten: deque[tuple[float, str, str, str]] = deque(maxlen=_FORGOTTEN_MAX)
        self._ticking: asyncio.Task[None] | None = None
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
        seen, kept_s = folder / "faces-seen", config.face_pictures_kept_hours * 3600.0
        pictures = FacePictures(seen if kept_s > 0 else None, kept_s, clock.now)
        try:
            if kept_s > 0:
                await pictures.sweep()
            else:
                await asyncio.to_thread(remove_all, seen)
        except OSError as error:
            raise StoreUnavailable(
                f"{seen} holds pictures of faces that may not be kept any longer, and cannot be "
                f"removed: {error}; remove it, and start again"
            ) from error
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
            self._ticking.cancel()
            await asyncio.wait({self._ticking})
        for one in self._watched.values():
            with contextlib.suppress(StoreUnavailable, StoreDamaged):
                await self._flush(one)
        await self.log.aclose()

    # --- Watcher --------------------------------------------------------------------------

    async def seen(
        self, spec: ProcessorSpec, frame: Frame, faces: Seen, report: Callable[[str], None]
    ) -> None:
        """As processor.ports.Watcher has it."""
        one = self._of(spec)
        one.heard_at, one.patience_s = self._clock.monotonic(), self._silence_s
        if not 0.0 <= frame.timestamp < _NO_DATE_S:
            return  # no calendar has such a moment; its record tells what is known
        height, width = frame.image.shape[:2]
        if self._forgotten:
            faces = self._without_forgotten(spec, faces)
        changes = one.visits.saw(frame.timestamp, (width, height), faces, spec.collection_id)
        self._wait(spec.key, one, changes)
        await self._picture(spec, one.visits.owners, frame, faces)
        is_due = abs(frame.timestamp - one.kept_at) >= _KEEP_S and one.visits.open
        if one.waiting or is_due:
            one.kept_at = frame.timestamp
            await self._insist(one, report)

    async def state_changed(
        self, spec: ProcessorSpec, state: str, previous: str | None, message: str
    ) -> None:
        """As processor.ports.Watcher has it."""
        one = self._of(spec)
        one.heard_at = self._clock.monotonic()
        one.patience_s = max(self._silence_s, one.patience_s if state == "STARTING" else 0.0)
        if state in _ENDS and previous is not None:
            self._wait(spec.key, one, one.visits.close(_ENDS[state]))
        one.is_deleted = state == "DELETED"
        if len(one.waiting) >= _STATES_WAITING_MAX:
            log.error("%s of processor %s is not told: the event log is full", state, spec.name)
            return
        body = {"Status": str(state), "PreviousStatus": previous and str(previous)}
        told = {name: value for name, value in body.items() if value is not None}
        if message:
            told["StatusMessage"] = message
        one.waiting.append(Draft(EventKind.STATE, spec.region, spec.name, self._clock.now(), told))
        try:
            await self._flush(one)
        except (StoreUnavailable, StoreDamaged) as error:  # tried again by the next tick
            log.error("%s of processor %s is not told yet: %s", state, spec.name, error)

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
        for face_id in face_ids or ():
            self._forgotten.append((self._clock.monotonic(), region, collection_id, face_id))
        for key, one in self._watched.items():
            if key[0] == region:
                one.visits.forget(collection_id, face_ids)
        try:
            await self._pictures.forget(region, collection_id, face_ids)
        except OSError as error:
            raise StoreUnavailable(
                f"a picture of a seen face cannot be removed: {error}"
            ) from error

    # --- inside ---------------------------------------------------------------------------

    @property
    def _silence_s(self) -> float:
        return self._policy.exit_after_s + GAP_S

    def _of(self, spec: ProcessorSpec) -> Watched:
        one = self._watched.get(spec.key)
        if one is None:
            one = self._watched[spec.key] = self._made(spec.key, None)
        return one

    def _made(self, key: ProcessorKey, left: Standing | None) -> Watched:
        """left: by an earlier daemon."""
        visits = Visits(key, self._policy, self._similarity, self._new_id, left)
        return Watched(visits, _AFTER_START_S, self._clock.monotonic())

    def _wait(self, key: ProcessorKey, one: Watched, changes: Sequence[Change]) -> None:
        region, name = key
        one.waiting += [
            Draft(change.kind, region, name, change.at, change.body) for change in changes
        ]

    async def _insist(self, one: Watched, report: Callable[[str], None]) -> None:
        attempt = 0
        while True:
            try:
                await self._flush(one)
            except StoreUnavailable as error:
                if attempt == 0:
                    log.error("events wait: %s", error)
                report(f"Its events cannot be saved, trying again: {error}")
                one.heard_at = self._clock.monotonic()
                await self._clock.sleep(backoff_seconds(attempt, base_s=0.25, roll=self._roll))
                attempt += 1
            except StoreDamaged as error:
                # Recognition is worth more than its events: records go on.
                log.error("events are lost: %s", error)
                report(f"Its events are lost: {error}")
                one.waiting.clear()
                return
            else:
                if attempt:
                    report("")
                return

    async def _flush(self, one: Watched) -> None:
        """Bring to disk what waits, in order, and how the processor stands. A task of its own: who
        gives up waiting would not know what was told, and tell it twice."""
        task = asyncio.create_task(self._write(one))
        self._writing.add(task)
        task.add_done_callback(self._written)
        await asyncio.shield(task)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # it is the caller's, if that still waits

    async def _write(self, one: Watched) -> None:
        async with one.lock:
            count = len(one.waiting)
            standing = one.visits.standing
            await self.log.append(one.waiting[:count], standing)
            del one.waiting[:count]
            if one.is_deleted:
                await self.log.forget_processor(standing.key)
                if self._watched.get(standing.key) is one:
                    del self._watched[standing.key]
                    self.figures.goes(one)

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
            person = visit.person
            owner = Owner(
                spec.region,
                person.collection_id if person else "",
                person.face_id if person else "",
            )
            if clarity < visit.clarity * _CLEARER:
                continue
            visit.clarity = clarity
            try:
                jpeg = await asyncio.to_thread(face_jpeg, frame.image, face.box)
            except Exception:  # OpenCV has its own; a visit without a picture is one all the same
                log.warning("no picture of a face could be made", exc_info=True)
                continue
            await self._pictures.put(visit.id, owner, jpeg)

    def _without_forgotten(self, spec: ProcessorSpec, faces: Seen) -> Seen:
        """A frame that was searched before a face was deleted does not bring it back."""
        while self._forgotten and self._clock.monotonic() - self._forgotten[0][0] > _IN_FLIGHT_S:
            self._forgotten.popleft()
        gone = {
            face_id
            for _, region, collection_id, face_id in self._forgotten
            if (region, collection_id) == (spec.region, spec.collection_id)
        }
        return [
            (face, [match for match in matches if match.face.face_id not in gone])
            for face, matches in faces
        ]

    async def _tick(self) -> None:
        """What happens though nobody sees anything."""
        swept_at = -_SWEEP_S
        while True:
            now = self._clock.monotonic()
            for key, one in list(self._watched.items()):
                is_silent = now - one.heard_at > one.patience_s
                if is_silent and one.visits.open and not one.lock.locked():
                    self._wait(key, one, one.visits.close("video-lost"))
                if one.waiting:
                    await self._tried(one)
            if now - swept_at >= _SWEEP_S:
                swept_at = now
                await self._swept()
            await self._clock.sleep(_TICK_S)

    async def _tried(self, one: Watched) -> None:
        with contextlib.suppress(StoreUnavailable, StoreDamaged):  # the next tick tries again
            await self._flush(one)

    async def _swept(self) -> None:
        try:
            await self.log.prune()
            await self._pictures.sweep()
        except (StoreUnavailable, StoreDamaged, OSError) as error:
            log.warning("what is kept no longer could not be removed: %s", error)
