"""Clips for benchmarks: a recording brought to 1280×720, 30 fps, H.264, a keyframe a second."""

import os
import sys
from fractions import Fraction
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parent.parent

# What is in view, where it comes from, and the first second that shows it.
SOURCES = {
    "one": ("kvs/vogels_480.mkv", 12.0),
    "eight": ("videos/facenet_pytorch_video.mp4", 0.0),
    "none": ("videos/one-by-one-person-detection.mp4", 0.0),
}
WIDTH, HEIGHT, FPS = 1280, 720, 30


def testdata() -> Path:
    """The folder of test data, or exit with the reason."""
    folder = Path(os.environ.get("STREAMPROC_TESTDATA", ROOT.parent / "shared" / "testdata"))
    if not (folder / "README.md").is_file():
        sys.exit(f"no test data at {folder}; set STREAMPROC_TESTDATA to its folder")
    return folder


def make_clip(view: str, seconds: float, file: Path) -> Path:
    """Write a clip of this view, the source repeated until it is long enough."""
    source, start_s = SOURCES[view]
    wanted = round(seconds * FPS)
    with av.open(file, "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"preset": "veryfast", "crf": "23", "g": str(FPS), "bf": "0",
                          "sc_threshold": "0"}  # fmt: skip
        written = 0
        while written < wanted:
            with av.open(testdata() / source) as recording:
                for frame in recording.decode(video=0):
                    if written < wanted and (frame.time or 0.0) >= start_s:
                        scaled = frame.reformat(WIDTH, HEIGHT, "yuv420p")
                        scaled.pts, scaled.time_base = written, Fraction(1, FPS)
                        container.mux(stream.encode(scaled))
                        written += 1
        container.mux(stream.encode())
    return file
