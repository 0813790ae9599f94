"""Pictures of the people of open and lately closed visits.

In memory, a few megabytes at most; on disk only where the config says for how long. A file's name
says which visit, and whose face of which collection (as hashes: no client's id becomes a path), so
that a person's pictures go with their face. Knows files and JPEG; knows nothing of visits.
"""

import asyncio
import hashlib
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streamproc.aio import carried_through
from streamproc.model.face import BoundingBox
from streamproc.model.media import Image

log = logging.getLogger(__name__)

SIDE_MAX: Final = 320  # pixels
_MARGIN: Final = 0.75  # of a face's sides, on each: enough for a detector to find it again
_JPEG_QUALITY: Final = 85
_BYTES_MAX: Final = 8 * 1024 * 1024  # in memory; the oldest are let go
_UNSAVED_MAX: Final = 10_000  # visits that a disk refuses
_STRANGER: Final = "stranger"
_SUFFIX: Final = ".jpg"
_DRAFT: Final = ".draft"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose picture it is."""

    region: str
    collection_id: str = ""
    face_id: str = ""  # "" of a stranger

    @property
    def mark(self) -> str:
        """In a file's name."""
        if not self.face_id:
            return _STRANGER
        return f"{_hash(self.region, self.collection_id)}.{_hash(self.face_id)}"


@dataclass(frozen=True, slots=True)
class _Picture:
    owner: Owner
    jpeg: bytes = field(repr=False)


class FacePictures:
    """One picture per visit, for as long as its owner's faces are not forgotten. folder: None keeps
    nothing on disk. Nobody who looks at people waits for the disk: a task of its own brings there
    what memory holds."""

    def __init__(self, folder: Path | None, kept_s: float, now: Callable[[], float]) -> None:
        """now: seconds since the epoch."""
        self._folder = folder
        self._kept_s = kept_s
        self._now = now
        self._held: OrderedDict[str, _Picture] = OrderedDict()
        self._bytes = 0
        self._unsaved: dict[str, Owner] = {}  # visits of which the disk has another picture or mark
        self._saving: asyncio.Task[None] | None = None
        self._files = asyncio.Lock()  # one change at a time: what is forgotten is not put back

    def put(self, visit_id: str, owner: Owner, jpeg: bytes) -> None:
        """The picture of this visit from now on. A disk that refuses it is logged: an event does
        not wait for its picture."""
        self._let_go(visit_id)
        self._held[visit_id] = _Picture(owner, jpeg)
        self._bytes += len(jpeg)
        while self._bytes > _BYTES_MAX:
            self._let_go(next(iter(self._held)))
        self._save_soon(visit_id, owner)

    def own(self, visit_id: str, owner: Owner) -> None:
        """Whose picture that of this visit is, if there is one, turned out now."""
        held = self._held.get(visit_id)
        if held is not None:
            if held.owner == owner:
                return
            self._held[visit_id] = _Picture(owner, held.jpeg)
        self._save_soon(visit_id, owner)

    async def get(self, visit_id: str, region: str) -> bytes | None:
        """JPEG; None where there is none of this visit in this region."""
        held = self._held.get(visit_id)
        if held is not None:
            return held.jpeg if held.owner.region == region else None
        if self._folder is None:
            return None
        return await carried_through(self._read, visit_id, region)

    async def forget(
        self,
        region: str,
        collection_id: str,
        face_ids: Collection[str] | None,
        visit_ids: Collection[str] = (),
    ) -> None:
        """Those of these faces, None for all of the collection, and of these visits are gone when
        this returns. Raises OSError if a file cannot be removed."""

        def is_gone(visit_id: str, owner: Owner) -> bool:
            is_of = (owner.region, owner.collection_id) == (region, collection_id)
            is_face = bool(owner.face_id) and (face_ids is None or owner.face_id in face_ids)
            return visit_id in visit_ids or (is_of and is_face)

        gone = set(visit_ids)
        for visit_id, held in list(self._held.items()):
            if is_gone(visit_id, held.owner):
                self._let_go(visit_id)
        for visit_id, owner in list(self._unsaved.items()):
            if is_gone(visit_id, owner):
                del self._unsaved[visit_id]
                gone.add(visit_id)  # the disk may not know yet whose it is
        if self._folder is not None:
            of = _hash(region, collection_id)
            faces = None if face_ids is None else {_hash(face_id) for face_id in face_ids}
            async with self._files:
                await carried_through(self._remove, of, faces, gone)

    async def sweep(self) -> None:
        """Remove the files whose time is over. Raises OSError."""
        if self._folder is not None:
            async with self._files:
                await carried_through(self._sweep)
            self._save_what_waits()

    async def saved(self) -> None:
        """Return once what is held is on disk, if that takes it."""
        if self._saving is not None:
            await asyncio.wait({self._saving})

    def _let_go(self, visit_id: str) -> None:
        held = self._held.pop(visit_id, None)
        if held is not None:
            self._bytes -= len(held.jpeg)

    def _save_soon(self, visit_id: str, owner: Owner) -> None:
        if self._folder is None:
            return
        self._unsaved[visit_id] = owner
        while len(self._unsaved) > _UNSAVED_MAX:
            del self._unsaved[next(iter(self._unsaved))]
        self._save_what_waits()

    def _save_what_waits(self) -> None:
        if self._unsaved and (self._saving is None or self._saving.done()):
            self._saving = asyncio.create_task(self._save(), name="pictures of seen faces")

    async def _save(self) -> None:
        """Until the disk has them all, or refuses one: then with the next, or the next sweep."""
        while self._unsaved:
            async with self._files:
                if not self._unsaved:
                    return  # forgotten meanwhile
                visit_id, owner = next(iter(self._unsaved.items()))
                held = self._held.get(visit_id)
                jpeg = held.jpeg if held is not None else None
                try:
                    await carried_through(self._write, visit_id, owner, jpeg)
                except OSError as error:
                    log.warning("the picture of a visit is not kept in %s: %s", self._folder, error)
                    return
                if self._unsaved.get(visit_id) == owner and self._held.get(visit_id) is held:
                    del self._unsaved[visit_id]

    def _write(self, visit_id: str, owner: Owner, jpeg: bytes | None) -> None:
        """jpeg None: that on disk, if there is one, has another owner."""
        shelf = self._shelf(visit_id)
        place = shelf / f"{visit_id}.{_hash(owner.region)}.{owner.mark}{_SUFFIX}"
        draft = shelf / f"{visit_id}{_DRAFT}"
        for file, (visit, *_) in _pictures(shelf):
            if visit == visit_id and (jpeg is not None or file == draft):
                _erase(file)  # a rename over it would leave its bytes on the disk
            elif visit == visit_id:
                file.rename(place)
        if jpeg is None:
            return
        shelf.parent.mkdir(mode=0o700, exist_ok=True)
        shelf.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(jpeg)
        now = self._now()
        os.utime(draft, (now, now))
        draft.rename(place)

    def _read(self, visit_id: str, region: str) -> bytes | None:
        for file, parts in _pictures(self._shelf(visit_id)):
            if parts[:2] == [visit_id, _hash(region)]:
                try:
                    return file.read_bytes()
                except FileNotFoundError:  # swept since
                    return None
        return None

    def _remove(self, of: str, faces: Collection[str] | None, visits: Collection[str]) -> None:
        for file, parts in self._all():
            is_of = parts[2:3] == [of] and (faces is None or parts[3] in faces)
            if is_of or parts[0] in visits or parts[-1] == "draft":
                _erase(file)

    def _sweep(self) -> None:
        oldest = self._now() - self._kept_s
        for file, parts in self._all():
            if parts[-1] == "draft" or file.stat().st_mtime <= oldest:
                _erase(file)

    def _shelf(self, visit_id: str) -> Path:
        """Its folder, one of 256: beside thousands of pictures, a new one would take long."""
        assert self._folder is not None
        return self._folder / _hash(visit_id)[:2]

    def _all(self) -> Iterator[tuple[Path, list[str]]]:
        assert self._folder is not None
        if self._folder.is_dir():
            for shelf in self._folder.iterdir():
                yield from _pictures(shelf)


def _pictures(shelf: Path) -> list[tuple[Path, list[str]]]:
    """Every file, with its visit, region's hash and owner's mark."""
    if not shelf.is_dir():
        return []
    return [(file, file.name.removesuffix(_SUFFIX).split(".")) for file in shelf.iterdir()]


def remove_all(folder: Path) -> None:
    """Every picture that an earlier daemon kept: the config says none now. Blocks; raises
    OSError."""
    if folder.is_dir():
        for shelf in folder.iterdir():
            for file in shelf.iterdir() if shelf.is_dir() else [shelf]:
                _erase(file)
            if shelf.is_dir():
                shelf.rmdir()
        folder.rmdir()


def face_jpeg(image: Image, box: BoundingBox) -> bytes:
    """The face with a wide margin, its longer side SIDE_MAX pixels at most. Blocks some
    milliseconds."""
    import cv2

    height, width = image.shape[:2]
    left, top, right, bottom = box.edges
    across, down = _MARGIN * box.width, _MARGIN * box.height
    x0, x1 = _within(left - across, right + across, width)
    y0, y1 = _within(top - down, bottom + down, height)
    cut = image[y0:y1, x0:x1]
    scale = SIDE_MAX / max(cut.shape[:2])
    if scale < 1.0:
        size = (max(round(cut.shape[1] * scale), 1), max(round(cut.shape[0] * scale), 1))
        cut = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    is_done, jpeg = cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not is_done:
        raise ValueError(f"a picture of shape {cut.shape} cannot be written as JPEG")
    return jpeg.tobytes()


def _within(first: float, last: float, size: int) -> tuple[int, int]:
    """Ratios as pixels of the picture, at least one."""
    begin = min(max(int(first * size), 0), size - 1)
    return begin, min(max(int(last * size), begin + 1), size)


def _erase(file: Path) -> None:
    """Overwrite, then remove. Gone already is well."""
    try:
        with file.open("r+b") as whole:
            whole.write(b"\0" * file.stat().st_size)
            whole.flush()
            os.fsync(whole.fileno())
        file.unlink()
    except FileNotFoundError:
        pass


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
