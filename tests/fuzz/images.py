"""Pictures as people send them, and as nobody should: through decode_image, as Image.Bytes go.

A picture is decoded or refused with ImageError; memory stays within what the limits allow.
"""

import struct
import time
import zlib
from io import BytesIO
from random import Random

from PIL import Image as Pillow

from streamproc.collection.images import ImageLimits, decode_image
from streamproc.errors import ImageError
from tests.fuzz.mutate import damaged
from tests.fuzz.tally import Tally

LIMITS = ImageLimits(pixels_max=1_000_000, side_min=16)


def _saved(
    kind: str, mode: str = "RGB", size: tuple[int, int] = (48, 40), **options: object
) -> bytes:
    pixels = Random(kind + mode).randbytes(size[0] * size[1])
    picture = Pillow.frombytes("L", size, pixels).convert(mode)
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One of a PNG, its checksum right."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *between: bytes, bits: int = 8, colour: int = 2,
        pixels: bytes = b"") -> bytes:  # fmt: skip
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(pixels)
    parts = (chunk(b"IHDR", header), *between, chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def segment(marker: int, body: bytes) -> bytes:
    """One of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg_with(*segments: bytes) -> bytes:
    whole = _saved("JPEG")
    return whole[:2] + b"".join(segments) + whole[2:]


def exif(entries: int, *, offset: int = 8, type_: int = 3, count: int = 1) -> bytes:
    """An orientation so many times, at this offset, of this type and count."""
    entry = struct.pack("<HHII", 0x0112, type_, count, 6)
    directory = struct.pack("<H", entries & 0xFFFF) + entry * min(entries, 5000)
    return segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<I", offset) + directory + b"\x08\0\0\0")


BOMB = bytes(20 << 20)  # 20 MB that deflate to 20 KB
NAMED: dict[str, bytes] = {
    "JPEG": _saved("JPEG"),
    "progressive JPEG": _saved("JPEG", progressive=True),
    "grey JPEG": _saved("JPEG", "L"),
    "CMYK JPEG": _saved("JPEG", "CMYK"),
    "PNG": _saved("PNG"),
    "PNG with a palette": _saved("PNG", "P"),
    "PNG of one bit": _saved("PNG", "1"),
    "PNG of sixteen bits": _saved("PNG", "I;16"),
    "PNG with transparency": _saved("PNG", "RGBA"),
    "grey PNG with transparency": _saved("PNG", "LA"),
    "interlaced PNG": png(48, 40)[:28] + b"\1" + png(48, 40)[29:],
    "APNG": _saved("PNG", save_all=True, append_images=[Pillow.new("RGB", (48, 40))] * 3),
    "GIF": _saved("GIF", "P"),
    "WebP": _saved("WEBP"),
    "TIFF": _saved("TIFF"),
    "BMP": _saved("BMP"),
    "PNG that claims to be huge": png(2**31 - 1, 2**31 - 1),
    "PNG as large as is allowed": png(1000, 1000),
    "PNG of one line": png(1_000_000, 1),
    "PNG of nothing": png(0, 0),
    "PNG that deflates to more than it has": png(48, 40, pixels=BOMB),
    "PNG with a text bomb": png(48, 40, chunk(b"zTXt", b"x\0\0" + zlib.compress(BOMB))),
    "PNG with an iTXt bomb": png(48, 40, chunk(b"iTXt", b"x\0\1\0\0\0" + zlib.compress(BOMB))),
    "PNG with an ICC bomb": png(48, 40, chunk(b"iCCP", b"x\0\0" + zlib.compress(BOMB))),
    "PNG with many texts": png(48, 40, chunk(b"tEXt", b"a\0b") * 5000),
    "PNG with a chunk without an end": png(48, 40)[:33] + b"\x7f\xff\xff\xffIDAT" + bytes(100),
    "JPEG of 65535 by 65535": _saved("JPEG").replace(
        struct.pack(">HH", 40, 48), struct.pack(">HH", 65_535, 65_535)
    ),
    "JPEG with a thousand entries of EXIF": jpeg_with(exif(1000)),
    "JPEG whose EXIF points at itself": jpeg_with(exif(1, offset=0)),
    "JPEG whose EXIF points away": jpeg_with(exif(1, offset=2**31)),
    "JPEG with an EXIF of 4 GB": jpeg_with(exif(1, type_=12, count=2**29)),
    "JPEG with a broken ICC profile": jpeg_with(segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(100))),
    "JPEG with many comments": jpeg_with(*[segment(0xFE, bytes(2000))] * 200),
    "JPEG with a broken MPO": jpeg_with(segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff" + bytes(60))),
    "JPEG with a broken Photoshop block": jpeg_with(
        segment(0xED, b"Photoshop 3.0\0008BIM\x03\xed\0\0\0\0\0\x01x")
    ),
    "nothing": b"",
}  # fmt: skip
_SMALL = [name for name, data in NAMED.items() if len(data) < 30_000]


def an_input(chance: Random) -> bytes:
    data = NAMED[chance.choice(_SMALL)]
    if chance.random() < 0.05:
        return data
    data = damaged(data, chance, NAMED[chance.choice(_SMALL)])
    return _mended(data) if data.startswith(b"\x89PNG") and chance.random() < 0.5 else data


def _mended(data: bytes) -> bytes:
    """The same PNG with right checksums, so that damage gets past them."""
    mended, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        [length] = struct.unpack_from(">I", data, at)
        body = data[at + 8 : at + 8 + length]
        mended += data[at : at + 4] + chunk(data[at + 4 : at + 8], body)[4:]
        at += 12 + length
    return bytes(mended)


def fuzz(seed: int, inputs: int, seconds: float) -> Tally:
    tally = Tally("images", seed)
    chance = Random(seed)
    deadline = time.monotonic() + seconds
    named = iter(NAMED.values())
    while tally.inputs < inputs and time.monotonic() < deadline:
        data = next(named, None)
        if data is None:
            data = an_input(chance)
        try:
            with tally.timed():
                image = decode_image(data, LIMITS)
        except ImageError as error:
            tally.refuse(type(error).__name__)
            words = str(error)
            if not words.isprintable() or len(words) > 1000:
                tally.found(f"words that cannot be told: {words[:200]!r}", data.hex()[:4000])
        except Exception as error:  # whatever it is, it is a finding
            tally.found(f"{type(error).__name__}: {error}", data.hex()[:4000])
        else:
            tally.accepted += 1
            height, width, channels = image.shape
            if channels != 3 or not 0 < height * width <= LIMITS.pixels_max:
                tally.found(f"a picture of shape {image.shape}", data.hex()[:4000])
    tally.measure_memory()
    return tally
