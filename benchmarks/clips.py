"""Clips for benchmarks: a recording brought to 1280×720, 30 fps, H.264, a keyframe a second."""

import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.video.frame import PictureType

ROOT = Path(__file__).resolve().parent.parent

# What is in view, where it comes from, and the first second that shows it.
SOURCES = {
    "one": ("kvs/vogels_480.mkv", 12.0),
    "eight": ("videos/facenet_pytorch_video.mp4", 0.0),
    "none": ("videos/one-by-one-person-detection.mp4", 0.0),
}
# What a camera on a street sees in turn, and for how many seconds: faces a quarter of the time.
STREET = (("none", 10), ("one", 4), ("none", 8), ("eight", 2))
STREET_S = sum(seconds for _, seconds in STREET)
VIEWS = ("street", *SOURCES)
WIDTH, HEIGHT, FPS = 1280, 720, 30


def testdata() -> Path:
    """The folder of test data, or exit with the reason."""
    folder = Path(os.environ.get("STREAMPROC_TESTDATA", ROOT.parent / "shared" / "testdata"))
    if not (folder / "README.md").is_file():
        sys.exit(f"no test data at {folder}; set STREAMPROC_TESTDATA to its folder")
    return folder


def make_clip(view: str, seconds: float, file: Path) -> Path:
    """Write a clip of this view, the source repeated until it is long enough."""
    scenes = STREET if view == "street" else ((view, seconds),)
    with av.open(file, "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"preset": "veryfast", "crf": "23", "g": str(FPS), "bf": "0",
                          "sc_threshold": "0"}  # fmt: skip
        for number, frame in enumerate(islice(_in_turn(scenes), round(seconds * FPS))):
            scaled = frame.reformat(WIDTH, HEIGHT, "yuv420p")
            scaled.pts, scaled.time_base = number, Fraction(1, FPS)
            # Else x264 makes a keyframe of each that was one in the source.
            scaled.pict_type = PictureType.NONE
            container.mux(stream.encode(scaled))
        container.mux(stream.encode())
    return file


def _in_turn(scenes: tuple[tuple[str, float], ...]) -> Iterator[av.VideoFrame]:
    while True:
        for view, seconds in scenes:
            yield from islice(_repeated(view), round(seconds * FPS))


def _repeated(view: str) -> Iterator[av.VideoFrame]:
    source, start_s = SOURCES[view]
    while True:
        with av.open(testdata() / source) as recording:
            for frame in recording.decode(video=0):
                if (frame.time or 0.0) >= start_s:
                    yield frame
