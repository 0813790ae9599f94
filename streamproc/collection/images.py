"""Pictures that people send: JPEG and PNG bytes in, a BGR array out.

Blocking and pure: call it on a thread. Refuses by what the header says, before a pixel is
decoded, so a small file cannot claim much memory. Knows nothing of where the bytes come from.
"""

import struct
import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image as Pillow
from PIL.ExifTags import Base
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from streamproc.errors import ImageError, ImageTooLarge
from streamproc.model.media import Image

# The plugins are opened directly: Pillow.open() would first apply its own pixel limit, which
# is one per process and warns.
_FORMATS: dict[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
}
# What the two plugins raise at damaged bytes.
_DAMAGE = (OSError, SyntaxError, ValueError, struct.error, zlib.error, IndexError, KeyError,
           TypeError, EOFError, AssertionError)  # fmt: skip
# What is wrong with metadata would be told on standard error, in words that the sender chose.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# EXIF 2.32, "Orientation" (0x0112): what must be done to see the picture upright.
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


class NoPicture(ImageError):
    """The bytes are not a whole JPEG or PNG picture."""


class ImageTooSmall(ImageError):
    """A picture has fewer pixels across than faces need."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    pixels_max: int
    side_min: int  # pixels


def decode_image(data: bytes, limits: ImageLimits) -> Image:
    """The picture upright, 8 bits per channel; transparent parts are seen over white.

    A JPEG's EXIF orientation is applied; a PNG's, which hardly any program writes, is not,
    as at Rekognition. Raises NoPicture, ImageTooLarge or ImageTooSmall.
    """
    picture = _open(data)
    width, height = picture.size
    if width * height > limits.pixels_max:
        raise ImageTooLarge(
            f"the image is {width} x {height} = {width * height} pixels; the most is "
            f"{limits.pixels_max} (faces.image_pixels_max)"
        )
    if min(width, height) < limits.side_min:
        raise ImageTooSmall(
            f"the image is {width} x {height} pixels; each side needs at least "
            f"{limits.side_min} (faces.image_side_min)"
        )
    try:
        picture.load()
        rgb = _to_rgb(picture)
    except _DAMAGE as error:
        reason = str(error) or "a part that it needs is missing"
        raise NoPicture(f"the {picture.format} image is damaged or cut off: {reason}") from None
    turn = _UPRIGHT.get(_orientation(picture))
    if turn is not None:
        rgb = rgb.transpose(turn)
    return np.ascontiguousarray(np.asarray(rgb)[:, :, ::-1])


def _open(data: bytes) -> ImageFile:
    for magic, plugin in _FORMATS.items():
        if data.startswith(magic):
            try:
                return plugin(BytesIO(data))
            except _DAMAGE as error:
                raise NoPicture(f"the {plugin.format} header is damaged: {error}") from None
    raise NoPicture(f"the image is neither JPEG nor PNG; it begins with {data[:8].hex(' ')}")


def _to_rgb(picture: ImageFile) -> Pillow.Image:
    if picture.mode.startswith("I"):
        # Sixteen bits of grey: Pillow would clip them at 255 where we want the high byte.
        return Pillow.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    backdrop = Pillow.new("RGBA", layer.size, "white")
    return Pillow.alpha_composite(backdrop, layer).convert("RGB")


def _orientation(picture: ImageFile) -> int:
    if picture.format != "JPEG":
        return 1
    try:
        value = picture.getexif().get(Base.Orientation, 1)
    except _DAMAGE:
        return 1  # broken metadata does not break a picture
    return value if isinstance(value, int) else 1
