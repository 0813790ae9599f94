"""Pictures as people send them: every kind of JPEG and PNG, and much that is neither."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from streamproc.collection.images import ImageLimits, ImageTooSmall, NoPicture, decode_image
from streamproc.errors import ImageError, ImageTooLarge

LIMITS = ImageLimits(pixels_max=1_000_000, side_min=80)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(mode: str = "RGB") -> Pillow.Image:
    """160 x 120 pixels: red and green above, blue and white below."""
    picture = Pillow.new("RGB", (160, 120), RED)
    picture.paste(GREEN, (80, 0, 160, 60))
    picture.paste(BLUE, (0, 60, 80, 120))
    picture.paste(WHITE, (80, 60, 160, 120))
    return picture.convert(mode)


def encoded(picture: Pillow.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def corners(data: bytes) -> list[tuple[int, ...]]:
    """RGB at the middle of the four quarters, rounded to what JPEG keeps of it."""
    image = decode_image(data, LIMITS)
    height, width = image.shape[:2]
    middles = [(height // 4, width // 4), (height // 4, 3 * width // 4),
               (3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]  # fmt: skip
    return [tuple(int(round(v / 51) * 51) for v in image[middle][::-1]) for middle in middles]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_becomes_a_bgr_array(kind: str) -> None:
    image = decode_image(
        encoded(quarters(), kind, **({"quality": 95} if kind == "JPEG" else {})), LIMITS
    )
    assert image.shape == (120, 160, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image[10, 10, 2] > 240
    assert image[10, 10, 0] < 20


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_survive_every_png_mode(mode: str) -> None:
    assert corners(encoded(quarters(mode))) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_colours_survive_every_jpeg_mode(mode: str) -> None:
    assert corners(encoded(quarters(mode), "JPEG", quality=95)) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey_pictures_are_read(kind: str) -> None:
    assert corners(encoded(quarters("L"), kind))[3] == WHITE
    assert corners(encoded(quarters("1"), "PNG"))[3] == WHITE


def test_sixteen_bits_keep_their_high_byte() -> None:
    ramp = np.linspace(0, 65535, 160, dtype=np.uint16)
    data = encoded(Pillow.fromarray(np.tile(ramp, (120, 1))))
    image = decode_image(data, LIMITS)
    assert np.array_equal(image[0, :, 0], (ramp >> 8).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(mode: str) -> None:
    picture = Pillow.new("RGBA", (160, 120), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 80, 60))
    data = encoded(picture.convert(mode))
    assert corners(data) == [(0, 0, 0), WHITE, WHITE, WHITE]


def test_a_colour_named_transparent_is_white() -> None:
    data = encoded(quarters(), transparency=RED)
    assert corners(data) == [WHITE, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_upright(orientation: int) -> None:
    # What a camera held that way stores: the inverse of the turn that the tag asks for.
    stored = {
        1: None,
        2: Pillow.Transpose.FLIP_LEFT_RIGHT,
        3: Pillow.Transpose.ROTATE_180,
        4: Pillow.Transpose.FLIP_TOP_BOTTOM,
        5: Pillow.Transpose.TRANSPOSE,
        6: Pillow.Transpose.ROTATE_90,
        7: Pillow.Transpose.TRANSVERSE,
        8: Pillow.Transpose.ROTATE_270,
    }[orientation]
    picture = quarters() if stored is None else quarters().transpose(stored)
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, "JPEG", quality=95, exif=exif)
    assert corners(data) == [RED, GREEN, BLUE, WHITE]
    assert decode_image(data, LIMITS).shape == (120, 160, 3)


@pytest.mark.filterwarnings("ignore:.*EXIF.*:UserWarning")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0MM\0*", b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_broken_metadata_does_not_break_a_picture(exif: bytes) -> None:
    plain = encoded(quarters(), "JPEG", quality=95)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert corners(plain[:2] + segment + plain[2:]) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"GIF89a" + bytes(100),
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"BM" + bytes(60),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(NoPicture):
        decode_image(data, LIMITS)


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF"])
def test_other_formats_are_refused_by_name(kind: str) -> None:
    with pytest.raises(NoPicture, match="neither JPEG nor PNG"):
        decode_image(encoded(quarters(), kind), LIMITS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_picture_cut_off_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8)
    data = encoded(Pillow.fromarray(noise), kind)
    with pytest.raises(NoPicture, match="damaged or cut off"):
        decode_image(data[: int(len(data) * share)], LIMITS)


def huge_png(side: int) -> bytes:
    """A PNG of side x side black pixels, about a thousandth of that in bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + checksum

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_many_pixels_in_a_small_file_are_refused_from_the_header() -> None:
    data = huge_png(10_000)
    assert len(data) < 100_000
    with pytest.raises(ImageTooLarge, match=r"10000 x 10000 = 100000000 pixels.*1000000"):
        decode_image(data, LIMITS)
    with pytest.raises(ImageTooLarge):  # beyond Pillow's own limit, which would only warn
        decode_image(huge_png(16_000), ImageLimits(50_000_000, 80))


def test_a_picture_needs_enough_pixels_each_way() -> None:
    with pytest.raises(ImageTooSmall, match=r"200 x 79 pixels.*at least 80"):
        decode_image(encoded(Pillow.new("RGB", (200, 79))), LIMITS)
    decode_image(encoded(Pillow.new("RGB", (80, 80))), LIMITS)


SMALL = ImageLimits(pixels_max=100_000, side_min=8)
SEEDS = [
    encoded(quarters().resize((40, 30)), "JPEG"),
    encoded(quarters().resize((40, 30)), "JPEG", progressive=True),
    encoded(quarters().resize((40, 30))),
    encoded(quarters("P").resize((40, 30)), transparency=3),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=300, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8
    ),
    share=st.floats(0.2, 1),
)
def test_damaged_bytes_give_a_picture_or_a_clear_refusal(
    seed: bytes, changes: list[tuple[float, int]], share: float
) -> None:
    data = bytearray(seed[: int(len(seed) * share)])
    for place, value in changes:
        data[int(place * len(data))] = value
    try:
        image = decode_image(bytes(data), SMALL)
    except ImageError:
        return
    assert image.ndim == 3
    assert image.shape[2] == 3


def _with_exif(offset: int, type_: int, count: int) -> bytes:
    """A JPEG whose orientation is somewhere else, or larger than the file."""
    entry = struct.pack("<HHHII", 1, 0x0112, type_, count, 6)
    body = b"Exif\0\0II*\0" + struct.pack("<I", offset) + entry + bytes(4)
    picture = BytesIO()
    Pillow.new("RGB", (100, 90)).save(picture, "JPEG")
    whole = picture.getvalue()
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]


@pytest.mark.filterwarnings("ignore::UserWarning")  # as the module has it outside of tests
@pytest.mark.parametrize("exif", [(0, 3, 1), (2**31, 3, 1), (8, 12, 2**29)])
def test_exif_that_points_beyond_its_picture_is_passed_over(exif: tuple[int, int, int]) -> None:
    assert decode_image(_with_exif(*exif), LIMITS).shape == (90, 100, 3)


def test_colours_of_a_palette_that_is_missing_are_damage() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 100, 100, 8, 3, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(101) * 100))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(NoPicture, match="missing"):
        decode_image(png, LIMITS)
