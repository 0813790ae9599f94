"""The people of a collection, each known by the ExternalImageId of their faces.

Through the API alone; prints nothing. A photo of no use is told in words, not raised.
"""

import asyncio
import base64
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from streamproc.cli.access import Access
from streamproc.cli.nearest import unknown
from streamproc.cli.own_operations import OperationRefused, call, listed
from streamproc.cli.resources import collection_ids, known

_FACES_PER_PAGE = 4096
_FACES_PER_DELETE = 1000
_NAMELESS = "(no name)"
_OTHERWISE = "see: streamproc collections"
_PHOTO_FAULTS = {"InvalidImageFormatException", "ImageTooLargeException"}
_PARAMETER_OF_PHOTO = "Request has invalid parameters. Image"  # too small, say
_TURNS = (180, 90, 270)  # degrees, clockwise; the likeliest first


@dataclass(frozen=True, slots=True)
class Added:
    is_added: bool
    words: str


@dataclass(frozen=True, slots=True)
class Person:
    shown: str  # the name, behind it the id where the two differ
    faces: int
    photos: int


async def all_collections(access: Access) -> list[dict[str, Any]]:
    """What DescribeCollection tells of each, with its CollectionId."""
    return [await describe(access, each) for each in await collection_ids(access)]


async def describe(access: Access, collection_id: str) -> dict[str, Any]:
    """Raises StreamprocError with what there is, if not this."""
    request = {"CollectionId": collection_id}
    work = call(access, "DescribeCollection", request)
    found = await known(work, "collection", collection_id, access, collection_ids, _OTHERWISE)
    return request | found


async def described(access: Access, collection_id: str) -> dict[str, Any]:
    """describe(), with Faces as ListFaces has them, and the People of a registry of celebrities."""
    found = await describe(access, collection_id)
    request = {"CollectionId": collection_id}
    found["Faces"] = await _faces(access, collection_id)
    if access.endpoint_url != "aws":
        found["People"] = (await call(access, "ListStreamprocPeople", request))["People"]
    return found


def people_of(found: Mapping[str, Any]) -> list[Person]:
    """Those of described(), by name; faces that belong to nobody last."""
    photos = defaultdict[str, list[str]](list)  # ImageIds by ExternalImageId
    for face in found["Faces"]:
        photos[face.get("ExternalImageId", "")].append(face["ImageId"])
    names: dict[str, str] = {each["Id"]: each["Name"] for each in found.get("People", ())}

    def order(external_id: str) -> tuple[bool, str]:
        return not external_id, names.get(external_id, external_id).lower()

    people = []
    for external_id in sorted(photos, key=order):
        shown = external_id or _NAMELESS
        if external_id in names:
            shown = f"{names[external_id]} ({external_id})"
        images = photos[external_id]
        people.append(Person(shown, len(images), len(set(images))))
    return people


async def faces_of(access: Access, collection_id: str, name: str) -> list[str]:
    """The FaceIds of a person. Raises StreamprocError with who is there, if nobody is called so."""
    await describe(access, collection_id)
    faces = await _faces(access, collection_id)
    found = [face["FaceId"] for face in faces if face.get("ExternalImageId") == name]
    if not found:
        names = sorted({face["ExternalImageId"] for face in faces if "ExternalImageId" in face})
        raise unknown("person", name, names, f"see: streamproc collections show {collection_id}")
    return found


async def delete_faces(access: Access, collection_id: str, face_ids: list[str]) -> None:
    for start in range(0, len(face_ids), _FACES_PER_DELETE):
        chosen = face_ids[start : start + _FACES_PER_DELETE]
        await call(access, "DeleteFaces", {"CollectionId": collection_id, "FaceIds": chosen})


async def add_photo(
    access: Access, collection_id: str, photo: Path, name: str, turn_degrees: int = 0
) -> Added:
    """Index the largest face of the photo, turned clockwise first.

    Raises StreamprocError where the photo cannot be read, or it is not the photo's fault.
    """
    from streamproc.cli.collection_manifest import legal_id
    from streamproc.cli.photo_bytes import read_photo
    from streamproc.errors import ImageError

    try:
        data = (await asyncio.to_thread(read_photo, photo)).data
        if turn_degrees:
            data = await asyncio.to_thread(_turned, data, turn_degrees)
    except (ImageError, OSError) as error:
        return Added(False, str(error))
    external_id = legal_id(name)
    request = {
        "CollectionId": collection_id,
        "ExternalImageId": external_id,
        "Image": _image(data),
        "MaxFaces": 1,
        "QualityFilter": "NONE",  # somebody has chosen the photo
    }
    try:
        answer = await call(access, "IndexFaces", request)
    except OperationRefused as error:
        if error.code not in _PHOTO_FAULTS and not error.message.startswith(_PARAMETER_OF_PHOTO):
            raise
        return Added(False, error.message)
    if not answer["FaceRecords"]:
        return Added(False, await _without_face(access, data))
    words = f"added to {collection_id} as {external_id}"
    if others := answer.get("UnindexedFaces"):
        words += f"; it shows {len(others) + 1} faces, the largest was taken"
    return Added(True, words)


async def _without_face(access: Access, data: bytes) -> str:
    """Why a photo is of no use, and what would mend it."""
    for degrees in _TURNS:
        turned = await asyncio.to_thread(_turned, data, degrees)
        if (await call(access, "DetectFaces", {"Image": _image(turned)}))["FaceDetails"]:
            return (
                f"no face was found as it is, but one if it is turned clockwise by {degrees} "
                f"degrees; streamproc collections add does that with --turn {degrees}"
            )
    return "no face was found; take one that shows the face from the front, larger and well lit"


def _turned(data: bytes, degrees: int) -> bytes:
    """The picture as its EXIF has it, then turned clockwise. Raises OSError if it is none."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    with Pillow.open(BytesIO(data)) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    file = BytesIO()
    upright.rotate(-degrees, expand=True).save(file, "JPEG", quality=95)
    return file.getvalue()


async def _faces(access: Access, collection_id: str) -> list[dict[str, Any]]:
    request = {"CollectionId": collection_id, "MaxResults": _FACES_PER_PAGE}
    return await listed(access, "ListFaces", "Faces", request)


def _image(data: bytes) -> dict[str, str]:
    return {"Bytes": base64.b64encode(data).decode()}
