"""Whole video files, rendered on the spot: any container, codec, rotation and time."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.stream import Disposition

from streamproc.model.media import Image

MS = Fraction(1, 1000)
RATE = 25
CORNERS = {  # BGR, by where a corner is when the picture is upright
    "top left": (0, 0, 230),
    "top right": (0, 230, 0),
    "bottom left": (230, 0, 0),
    "bottom right": (230, 230, 230),
}


def painted(width: int, height: int, number: int = 0) -> Image:
    """Four corners of different colours on grey, and a bar that moves with the frame's number."""
    image = np.full((height, width, 3), 90, np.uint8)
    x, y = width // 3, height // 3
    image[:y, :x] = CORNERS["top left"]
    image[:y, -x:] = CORNERS["top right"]
    image[-y:, :x] = CORNERS["bottom left"]
    image[-y:, -x:] = CORNERS["bottom right"]
    image[height // 2 : height // 2 + 4, number * 3 % width :] = 160
    return image


def corners(image: Image) -> dict[str, tuple[int, int, int]]:
    """The colour of each corner, as its middle has it."""
    height, width = image.shape[:2]
    y, x = height // 6, width // 6
    return {
        "top left": image[y, x],
        "top right": image[y, -x],
        "bottom left": image[-y, x],
        "bottom right": image[-y, -x],
    }


def movie(
    path: Path,
    *,
    frames: int = 25,
    times_ms: Sequence[int] | None = None,
    size: tuple[int, int] = (160, 96),
    encoder: str = "libx264",
    pixels: str = "yuv420p",
    turn: tuple[float, bool, bool] | None = None,
    sound_ms: tuple[int, int] | None = None,
    sound_encoder: str = "aac",
    full_range: bool = False,
    container: str | None = None,
    muxer: dict[str, str] | None = None,
    cover: bool = False,
) -> Path:
    """times_ms: when each frame is shown; 25 a second from 0 if None. turn: degrees
    counter-clockwise and flips of the display matrix. sound_ms: from when to when there is
    sound. cover: a cover picture stands before the video."""
    times = times_ms if times_ms is not None else [number * 40 for number in range(frames)]
    with av.open(str(path), "w", format=container, options=muxer or {}) as output:
        art = _cover(output) if cover else None
        stream = cast("av.VideoStream", output.add_stream(encoder, rate=RATE))
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        if times_ms is not None:
            stream.codec_context.time_base = MS
        if full_range:
            stream.color_range = 2
        if turn is not None:
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        stream.options = _options(encoder)
        sound = output.add_stream(sound_encoder, rate=48000) if sound_ms else None
        output.start_encoding()
        if art is not None:
            output.mux(art)
        if sound is not None and sound_ms is not None:
            _silence(output, sound, *sound_ms)
        for number, time_ms in enumerate(times):
            frame = av.VideoFrame.from_ndarray(painted(*size, number), format="bgr24")
            frame = frame.reformat(format=pixels, dst_color_range=2 if full_range else 1)
            frame.pts, frame.time_base = time_ms, MS
            if times_ms is None:
                frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def sound_only(path: Path, cover: bool = False) -> Path:
    with av.open(str(path), "w") as output:
        art = _cover(output) if cover else None
        sound = output.add_stream("aac", rate=48000)
        output.start_encoding()
        if art is not None:
            output.mux(art)
        _silence(output, sound, 0, 1000)
    return path


def _silence(output: Any, sound: Any, begin_ms: int, end_ms: int) -> None:
    for at in range(begin_ms * 48, end_ms * 48, 1024):
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts, frame.time_base = 48000, at, Fraction(1, 48000)
        output.mux(sound.encode(frame))
    output.mux(sound.encode(None))


def _cover(output: Any) -> "av.Packet[Any]":
    stream = output.add_stream("mjpeg", rate=1)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuvj420p"
    stream.disposition = Disposition.attached_pic
    context = cast("Any", av.CodecContext.create("mjpeg", "w"))
    context.width = context.height = 64
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(painted(64, 64), format="bgr24").reformat(format="yuvj420p")
    packet: Any = next(iter(context.encode(frame) + context.encode(None)))
    packet.stream, packet.pts, packet.dts = stream, 0, 0
    return cast("av.Packet[Any]", packet)


def _options(encoder: str) -> dict[str, object]:
    options: dict[str, dict[str, object]] = {
        "libx264": {"preset": "ultrafast", "g": "10", "threads": "1"},
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:keyint=10"},
        "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "threads": "1"},
        "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
    }
    return options.get(encoder, {})
