"""Measure how likely a detection of dlib's is a face, by its margin.

dlib's detector says how far beyond its threshold a window lies, which is no probability.
Here SCRFD is the judge: a detection that overlaps one of its faces is true. A logistic curve
through the outcomes gives the two constants of streamproc/engines/dlib.py. Nothing random.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize  # type: ignore[import-untyped]

from benchmarks.clips import testdata
from benchmarks.lfw import OUT
from streamproc.config import load_config
from streamproc.engines.dlib_locator import Locator, models_folder
from streamproc.engines.insightface import InsightFaceEngine
from streamproc.model.face import Edges, Face, overlap
from streamproc.model.media import Image

MARGIN_MIN = -1.0
OVERLAP_MIN = 0.3  # intersection over union; dlib's boxes are squares, SCRFD's are taller
VIDEOS = {
    "videos/facenet_pytorch_video.mp4": 15,
    "videos/one-by-one-person-detection.mp4": 100,
    "kvs/output-get-media-non-increasing-timecode.mkv": 60,
    "kvs/vogels_480.mkv": 60,
    "kvs/output_get_media.mkv": 40,
}


def pictures(data: Path) -> Iterator[Image]:
    files = [*sorted(data.glob("photos/**/*.*")), *sorted(data.glob("lfw/images/*/*"))[:420]]
    for file in files:
        if (image := cv2.imread(str(file))) is not None:
            yield image  # type: ignore[misc]
    for name, step in VIDEOS.items():
        with av.open(data / name) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % step == 0:
                    yield frame.to_ndarray(format="bgr24")  # type: ignore[misc]


def edges_of(face: Face, image: Image) -> Edges:
    height, width = image.shape[:2]
    box = face.box
    right, bottom = box.left + box.width, box.top + box.height
    return box.left * width, box.top * height, right * width, bottom * height


def main() -> None:
    data = testdata()
    pack = str(data / "models" / "mbf_arcface")
    overrides = {"engine": {"pack": pack, "detection_confidence_min": 30.0}}
    config = load_config(overrides=overrides).engine
    judge = InsightFaceEngine(config)
    locator = Locator(models_folder(), 50.0)
    margins: list[float] = []
    outcomes: list[bool] = []
    console = Console()
    with console.status("looking for faces"):
        for image in pictures(data):
            faces = judge.analyse([image])[0]
            for edges, beyond in locator.boxes(image, MARGIN_MIN):
                margins.append(beyond)
                outcomes.append(
                    any(overlap(edges, edges_of(face, image)) > OVERLAP_MIN for face in faces)
                )
    margin, true = np.array(margins), np.array(outcomes)
    sign = np.where(true, 1.0, -1.0)
    slope, offset = minimize(
        lambda curve: np.log1p(np.exp(-sign * (curve[0] * margin + curve[1]))).sum(), [1.0, 0.0]
    ).x
    table = Table("margin", "detections", "faces", "curve")
    steps = (-1.0, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.5, 1.0, 9.0)
    for low, high in pairwise(steps):
        inside = (margin >= low) & (margin < high)
        if inside.any():
            curve = 1 / (1 + np.exp(-slope * margin[inside] - offset))
            table.add_row(
                f"{low:g} to {high:g}",
                str(inside.sum()),
                f"{true[inside].mean():.0%}",
                f"{curve.mean():.0%}",
            )
    console.print(table)
    console.print(f"slope {slope:.2f}, offset {offset:.2f}")
    OUT.mkdir(exist_ok=True)
    report = {"slope": float(slope), "offset": float(offset), "detections": len(margins)}
    (OUT / "dlib-confidence.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
