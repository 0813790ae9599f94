"""Pictures of the people of open and lately closed visits.

In memory, a few megabytes at most; on disk only where the config says for how long. A file's name
says which visit, and whose face of which collection (as hashes: no client's id becomes a path), so
that a person's pictures go with their face. Knows files and JPEG; knows nothing of visits.
"""

import hashlib
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Collection
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
_STRANGER: Final = "stranger"
_SUFFIX: Final = ".jpg"


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
    """One picture per visit. folder: None keeps nothing on disk."""

    def __init__(self, folder: Path | None, kept_s: float, now: Callable[[], float]) -> None:
        """now: seconds since the epoch."""
        self._folder = folder
        self._kept_s = kept_s
        self._now = now
        self._held: OrderedDict[str, _Picture] = OrderedDict()
        self._bytes = 0

    async def put(self, visit_id: str, owner: Owner, jpeg: bytes) -> None:
        """The picture of this visit from now on. A disk that refuses it is logged: an event does
        not wait for its picture."""
        self._let_go(visit_id)
        self._held[visit_id] = _Picture(owner, jpeg)
        self._bytes += len(jpeg)
        while self._bytes > _BYTES_MAX:
            self._let_go(next(iter(self._held)))
        if self._folder is not None:
            try:
                await carried_through(self._write, visit_id, owner, jpeg)
            except OSError as error:
                log.warning("the picture of a visit is not kept in %s: %s", self._folder, error)

    async def get(self, visit_id: str, region: str) -> bytes | None:
        """JPEG; None where there is none of this visit in this region."""
        held = self._held.get(visit_id)
        if held is not None:
            return held.jpeg if held.owner.region == region else None
        if self._folder is None:
            return None
        return await carried_through(self._read, visit_id, region)

    async def forget(
        self, region: str, collection_id: str, face_ids: Collection[str] | None
    ) -> None:
        """Those of these faces, None for all of the collection, are gone when this returns.
        Raises OSError if a file cannot be removed."""
        for visit_id, held in list(self._held.items()):
            owner = held.owner
            is_of = (owner.region, owner.collection_id) == (region, collection_id)
            if owner.face_id and is_of and (face_ids is None or owner.face_id in face_ids):
                self._let_go(visit_id)
        if self._folder is not None:
            of = _hash(region, collection_id)
            faces = None if face_ids is None else {_hash(face_id) for face_id in face_ids}
            await carried_through(self._remove, of, faces)

    async def sweep(self) -> None:
        """Remove the files whose time is over. Raises OSError."""
        if self._folder is not None:
            await carried_through(self._sweep)

    def _let_go(self, visit_id: str) -> None:
        held = self._held.pop(visit_id, None)
        if held is not None:
            self._bytes -= len(held.jpeg)

    def _files(self) -> list[tuple[Path, list[str]]]:
        """Every file, with its visit, region's hash and owner's mark."""
        assert self._folder is not None
        if not self._folder.is_dir():
            return []
        return [
            (file, file.name.removesuffix(_SUFFIX).split(".")) for file in self._folder.iterdir()
        ]

    def _write(self, visit_id: str, owner: Owner, jpeg: bytes) -> None:
        assert self._folder is not None
        self._folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{visit_id}.{_hash(owner.region)}.{owner.mark}{_SUFFIX}"
        draft = self._folder / f"{visit_id}.draft"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(jpeg)
        now = self._now()
        os.utime(draft, (now, now))
        for file, (visit, *_) in self._files():
            if visit == visit_id and file not in {draft, self._folder / name}:
                _erase(file)  # it had another owner
        draft.rename(self._folder / name)

    def _read(self, visit_id: str, region: str) -> bytes | None:
        for file, parts in self._files():
            if parts[:2] == [visit_id, _hash(region)]:
                try:
                    return file.read_bytes()
                except FileNotFoundError:  # swept since
                    return None
        return None

    def _remove(self, of: str, faces: Collection[str] | None) -> None:
        for file, parts in self._files():
            if parts[2:3] == [of] and (faces is None or parts[3] in faces):
                _erase(file)

    def _sweep(self) -> None:
        oldest = self._now() - self._kept_s
        for file, parts in self._files():
            if self._kept_s <= 0 or parts[-1] == "draft" or file.stat().st_mtime <= oldest:
                _erase(file)


def remove_all(folder: Path) -> None:
    """Every picture that an earlier daemon kept: the config says none now. Blocks; raises
    OSError."""
    if folder.is_dir():
        for file in folder.iterdir():
            _erase(file)
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
