"""An Image member of a request, as a picture: from its bytes or from a bucket.

An object's bytes are bounded while they are read, pictures are decoded on a thread, and few
are open at once: decoded, a file of kilobytes may be hundreds of megabytes. Knows nothing of
faces, nor of where buckets are.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from streamproc import errors
from streamproc.api.objects import object_errors, object_ref
from streamproc.collection.images import ImageLimits, ImageTooSmall, decode_image
from streamproc.gateway.errors import ImageTooLarge, InvalidImageFormat, InvalidParameter
from streamproc.model.media import Image
from streamproc.objects.store import ObjectStore
from streamproc.settings import FacesConfig

_INLINE_BYTES_MAX = 5 * 1024 * 1024  # Rekognition's limit of Image.Bytes
_OPEN_AT_ONCE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    digest: str  # of the bytes as they were sent
    image: Image = field(repr=False)


class PictureSource:
    """Loads pictures for every operation that takes an Image."""

    def __init__(self, config: FacesConfig, objects: ObjectStore) -> None:
        self._bytes_max = config.image_bytes_max
        self._limits = ImageLimits(config.image_pixels_max, config.image_side_min)
        self._objects = objects
        self._opening = asyncio.Semaphore(_OPEN_AT_ONCE)

    @asynccontextmanager
    async def open(
        self, member: str, image: Mapping[str, Any], region: str
    ) -> AsyncIterator[Picture]:
        """The picture of a request's member (such as SourceImage), upright; let go of it when
        the block is left, for others wait.

        Raises the ServiceError that tells the caller what is wrong with it.
        """
        if ("Bytes" in image) == ("S3Object" in image):
            given = "both Bytes and S3Object" if image else "neither Bytes nor S3Object"
            raise InvalidParameter(f"{member} has {given}; give exactly one of them")
        if "Bytes" in image:
            data = _within(image["Bytes"], _INLINE_BYTES_MAX, f"{member}.Bytes")
        else:
            data = await self._fetch(f"{member}.S3Object", image["S3Object"], region)
        async with self._opening:
            yield await asyncio.to_thread(self._decode, member, data)

    def _decode(self, member: str, data: bytes) -> Picture:
        try:
            image = decode_image(data, self._limits)
        except errors.ImageTooLarge as error:
            raise ImageTooLarge(f"Image size is too large. {member}: {error}") from None
        except ImageTooSmall as error:
            raise InvalidParameter(f"Request has invalid parameters. {member}: {error}") from None
        except errors.ImageError as error:
            raise InvalidImageFormat(
                f"Request has invalid image format. {member}: {error}"
            ) from None
        return Picture(hashlib.sha256(data).hexdigest(), image)

    async def _fetch(self, member: str, s3_object: Mapping[str, Any], region: str) -> bytes:
        ref = object_ref(member, s3_object)
        try:
            with object_errors(member):
                return await self._objects.read(ref, region, self._bytes_max)
        except errors.ObjectTooLarge as error:
            raise ImageTooLarge(f"Image size is too large. {member}: {error}") from None


def _within(data: bytes, bytes_max: int, what: str) -> bytes:
    if len(data) > bytes_max:
        raise ImageTooLarge(
            f"Image size is too large. {what} has {len(data)} bytes; the most is {bytes_max}"
        )
    return data
