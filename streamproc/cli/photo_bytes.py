"""A photo as the bytes that are sent: the file itself, or a smaller copy where it is too large.

The copy depends on the photo alone (and on the JPEG encoder that is installed), so that the
same photo is recognised by its bytes the next time.
"""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow

from streamproc.collection.images import ImageLimits, decode_image
from streamproc.errors import ImageTooLarge, StreamprocError
from streamproc.model.media import Image

BYTES_MAX = 5 * 1024 * 1024
"""Rekognition's limit of Image.Bytes."""

_COPY_SIDE_MAX = 2048  # pixels; engines look at faces in far fewer
_COPY_QUALITY = 90
_LIMITS = ImageLimits(pixels_max=100_000_000, side_min=1)
_FILE_BYTES_MAX = 200 * 1024 * 1024


class SentPhoto(NamedTuple):
    data: bytes
    is_copy: bool


def read_photo(file: Path) -> SentPhoto:
    """Raises StreamprocError if the file cannot be read, ImageError if it is too large as it
    is and no whole picture."""
    try:
        if (size := file.stat().st_size) > _FILE_BYTES_MAX:
            raise ImageTooLarge(f"it has {size} bytes; the most is {_FILE_BYTES_MAX}")
        data = file.read_bytes()
    except OSError as error:
        raise StreamprocError(f"{file} cannot be read: {error.strerror}") from None
    if len(data) <= BYTES_MAX:
        return SentPhoto(data, is_copy=False)
    return SentPhoto(_smaller(decode_image(data, _LIMITS)), is_copy=True)


def _smaller(image: Image) -> bytes:
    picture = Pillow.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
    side = _COPY_SIDE_MAX
    while True:
        copy = picture.copy()
        copy.thumbnail((side, side), Pillow.Resampling.LANCZOS)
        file = BytesIO()
        copy.save(file, "JPEG", quality=_COPY_QUALITY)
        if file.tell() <= BYTES_MAX:
            return file.getvalue()
        side //= 2
