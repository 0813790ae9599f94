"""What a collection lacks to be like its folder, and the calls that mend it.

compare() decides, apply() does. There is no state of ours: a picture is known by its ImageId,
which follows from its bytes and its external id, so that whatever broke off is taken up where
it stood. Knows no terminal and no HTTP.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, TypeAlias

from streamproc.cli.collection_folder import CollectionFolder, Photo
from streamproc.cli.output import counted
from streamproc.cli.own_operations import OperationRefused
from streamproc.cli.photo_bytes import read_photo
from streamproc.errors import ImageError
from streamproc.model.image_id import image_id_of
from streamproc.model.members import celebrity_members, celebrity_of
from streamproc.model.person import Celebrity

Call: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Operation and request in, answer out. Raises OperationRefused."""

_FACES_PER_PAGE = 4096
_FACES_PER_DELETE = 1000
_INDEXED_AT_ONCE = 4
_PHOTO_FAULTS = {"InvalidImageFormatException", "ImageTooLargeException"}
_PARAMETER_OF_PHOTO = "Request has invalid parameters. Image"  # too small, say


@dataclass(frozen=True, slots=True)
class Picture:
    photo: Photo
    image_id: str


@dataclass(frozen=True, slots=True)
class StoredFace:
    face_id: str
    image_id: str
    external_id: str | None
    area: float  # ratio of its picture


@dataclass(frozen=True, slots=True)
class Present:
    """A collection as the service has it."""

    exists: bool = False
    faces: tuple[StoredFace, ...] = ()
    people: tuple[Celebrity, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to happen, all of it."""

    creates: bool
    added: tuple[Picture, ...]
    removed: tuple[StoredFace, ...]
    unchanged: int  # pictures
    people: tuple[Celebrity, ...]
    people_before: tuple[Celebrity, ...]

    @property
    def changes_people(self) -> bool:
        return _by_id(self.people) != _by_id(self.people_before)

    @property
    def is_empty(self) -> bool:
        return not (self.creates or self.added or self.removed or self.changes_people)

    def lines(self) -> Iterator[str]:
        """As a person reads it: + is added, - removed, ~ changed, = stays."""
        for picture in self.added:
            yield f"+ {picture.photo.path} as {picture.photo.external_id}"
        for face in self.removed:
            yield f"- face {face.face_id} of {face.external_id or 'nobody'}"
        before, after = _by_id(self.people_before), _by_id(self.people)
        for person in after.values():
            if person != before.get(person.id):
                yield f"{'~' if person.id in before else '+'} {person.name}, celebrity {person.id}"
        for person in before.values():
            if person.id not in after:
                yield f"- {person.name}, celebrity {person.id}"
        yield f"= {counted(self.unchanged, 'picture')} unchanged"


@dataclass(slots=True)
class Report:
    """What a person has to know of single photos."""

    notes: list[tuple[PurePath, str]] = field(default_factory=list)
    troubles: list[tuple[PurePath, str]] = field(default_factory=list)  # it is of no use as it is


async def read_pictures(
    folder: CollectionFolder, report: Report, on_read: Callable[[], None]
) -> list[Picture]:
    """The photos of a folder with their ImageIds, each picture once.

    Raises StreamprocError if one cannot be read.
    """
    pictures: dict[str, Picture] = {}
    for photo in folder.photos:
        try:
            data, _ = await asyncio.to_thread(read_photo, folder.folder / photo.path)
        except ImageError as error:
            report.troubles.append((photo.path, str(error)))
        else:
            image_id = image_id_of(hashlib.sha256(data).hexdigest(), photo.external_id)
            picture = pictures.setdefault(image_id, Picture(photo, image_id))
            if picture.photo is not photo:
                report.notes.append((photo.path, f"is the same picture as {picture.photo.path}"))
        on_read()
    return list(pictures.values())


async def read_present(call: Call, collection_id: str) -> Present:
    faces: list[StoredFace] = []
    request: dict[str, Any] = {"CollectionId": collection_id, "MaxResults": _FACES_PER_PAGE}
    try:
        while True:
            page = await call("ListFaces", request)
            faces += map(_stored_face, page["Faces"])
            if not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]
        people = await call("ListStreamprocPeople", {"CollectionId": collection_id})
    except OperationRefused as error:
        if error.code != "ResourceNotFoundException":
            raise
        return Present()
    return Present(True, tuple(faces), tuple(map(celebrity_of, people["People"])))


def compare(
    pictures: Sequence[Picture], people: Sequence[Celebrity], present: Present
) -> Difference:
    """A wanted picture has one face in the collection, its largest; nothing else is there."""
    wanted = {picture.image_id for picture in pictures}
    largest: dict[str, StoredFace] = {}
    for face in present.faces:
        if face.image_id in wanted:
            other = largest.setdefault(face.image_id, face)
            if face.area > other.area:
                largest[face.image_id] = face
    kept = {face.face_id for face in largest.values()}
    return Difference(
        creates=not present.exists,
        added=tuple(picture for picture in pictures if picture.image_id not in largest),
        removed=tuple(face for face in present.faces if face.face_id not in kept),
        unchanged=len(largest),
        people=tuple(people),
        people_before=present.people,
    )


async def apply(
    call: Call,
    folder: CollectionFolder,
    difference: Difference,
    report: Report,
    on_indexed: Callable[[], None],
) -> None:
    """Make it so. New faces come before old ones go, so that nobody is unknown meanwhile.

    Raises StreamprocError; what was done until then stays, and a second run does the rest.
    """
    collection_id = folder.collection_id
    if difference.creates:
        await call("CreateCollection", {"CollectionId": collection_id})
    waiting = iter(difference.added)

    async def index() -> None:
        for picture in waiting:
            await _index(call, folder, picture.photo, report)
            on_indexed()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_INDEXED_AT_ONCE):
                group.create_task(index())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    gone = [face.face_id for face in difference.removed]
    for start in range(0, len(gone), _FACES_PER_DELETE):
        face_ids = gone[start : start + _FACES_PER_DELETE]
        await call("DeleteFaces", {"CollectionId": collection_id, "FaceIds": face_ids})
    if difference.changes_people:
        people = [{"Id": person.id, **celebrity_members(person)} for person in difference.people]
        await call("PutStreamprocPeople", {"CollectionId": collection_id, "People": people})


async def _index(call: Call, folder: CollectionFolder, photo: Photo, report: Report) -> None:
    data, is_copy = await asyncio.to_thread(read_photo, folder.folder / photo.path)
    request = {
        "CollectionId": folder.collection_id,
        "ExternalImageId": photo.external_id,
        "Image": {"Bytes": base64.b64encode(data).decode()},
        "MaxFaces": 1,
        # Somebody has chosen the photo. A filter could pass over its largest face for being
        # blurred, and take a bystander's.
        "QualityFilter": "NONE",
    }
    try:
        answer = await call("IndexFaces", request)
    except OperationRefused as error:
        if error.code not in _PHOTO_FAULTS and not error.message.startswith(_PARAMETER_OF_PHOTO):
            raise
        report.troubles.append((photo.path, error.message))
        return
    if not answer["FaceRecords"]:
        report.troubles.append((photo.path, "no face was found"))
        return
    if is_copy:
        report.notes.append((photo.path, "is larger than 5 MiB; a smaller copy was sent"))
    if others := answer.get("UnindexedFaces"):
        shown = len(others) + 1
        report.notes.append((photo.path, f"shows {shown} faces; the largest was taken"))


def _stored_face(face: dict[str, Any]) -> StoredFace:
    return StoredFace(face["FaceId"], face["ImageId"], face.get("ExternalImageId"), _area(face))


def _area(face: dict[str, Any]) -> float:
    box = face["BoundingBox"]
    return float(box["Width"] * box["Height"])


def _by_id(people: Sequence[Celebrity]) -> dict[str, Celebrity]:
    return {person.id: person for person in people}
