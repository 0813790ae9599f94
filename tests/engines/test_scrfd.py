"""The way to the detector and back: as InsightFace goes it, and windows see what the whole does."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from insightface.model_zoo.scrfd import SCRFD

from streamproc.engines.scratch import Scratch
from streamproc.engines.scrfd import Scrfd, scaled_part, suppress, window_around
from streamproc.engines.scrfd_heads import split_heads
from streamproc.model.media import Image
from tests.engines.toy_scrfd import toy_scrfd

SPARSELY = 97.0
"""A confidence that few cells of the toy network have."""


def published(folder: Path) -> Any:
    file = folder / "scrfd.onnx"
    onnx.save(toy_scrfd(), file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    detector = SCRFD(str(file), session, static_shape_sessions=False)
    detector.prepare(0, det_thresh=SPARSELY / 100)
    return detector


def split(theirs: Any) -> Scrfd:
    model = onnx.load(theirs.model_file)
    heads = split_heads(model, 3)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return Scrfd(theirs, SPARSELY, session, heads)


def noise(height: int, width: int) -> Image:
    small = np.random.default_rng(3).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return cv2.resize(small, (width, height))  # type: ignore[return-value]


@pytest.mark.parametrize(("height", "width"), [(360, 640), (500, 300), (96, 96), (700, 1000)])
@pytest.mark.parametrize("ours", [split, lambda theirs: Scrfd(theirs, SPARSELY)])
def test_it_sees_what_insightface_sees(ours: Any, height: int, width: int, tmp_path: Path) -> None:
    theirs, image = published(tmp_path), noise(height, width)
    detector: Scrfd = ours(theirs)
    size = detector.scaled_size(image, 320)
    assert size is not None
    padded = tuple(-(-edge // 32) * 32 for edge in size)
    boxes, points = theirs.detect(image, input_size=[padded])
    seen = detector.look(image, size)
    assert len(seen) == len(boxes) > 3
    for one, box, five in zip(seen, boxes, points, strict=True):
        assert one.box == pytest.approx(box[:4], abs=0.01)
        assert one.points == pytest.approx(five, abs=0.01)
        assert one.confidence == pytest.approx(box[4] * 100, abs=0.01)


def test_a_window_is_a_part_of_the_whole(tmp_path: Path) -> None:
    detector, image = split(published(tmp_path)), noise(720, 1280)
    whole = detector.look(image, (640, 360))
    window = (192, 64, 448, 288)
    # The toy sees 3 cells of 32 pixels; so far inside, its window's edge is out of its sight.
    inner = [2.0 * edge for edge in (192 + 64, 64 + 64, 448 - 64, 288 - 64)]
    part = {one.box: one for one in detector.look(image, (640, 360), window)}
    compared = 0
    for one in whole:
        middle = one.points.mean(axis=0)
        if inner[0] < middle[0] < inner[2] and inner[1] < middle[1] < inner[3]:
            nearest = min(part, key=lambda box: np.abs(np.subtract(box, one.box)).max())
            compared += nearest == pytest.approx(one.box, abs=0.01)
    assert compared >= 1


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1280, 720, (640, 360)),
        (720, 1280, (360, 640)),
        (500, 500, (640, 640)),
        (10_000, 80, (640, 5)),
        (10_000, 1, None),
    ],
)
def test_a_picture_is_scaled_to_the_longer_side(
    width: int, height: int, expected: tuple[int, int] | None, tmp_path: Path
) -> None:
    detector = Scrfd(published(tmp_path), 50.0)
    assert detector.scaled_size(np.zeros((height, width, 3), np.uint8), 640) == expected


class Recorder:
    """A session that remembers the shapes it was given."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session, self.shapes = session, list[tuple[int, ...]]()

    def get_outputs(self) -> Any:
        return self._session.get_outputs()

    def run(self, outputs: Any, feed: dict[str, Any]) -> Any:
        self.shapes += [one.shape for one in feed.values()]
        return self._session.run(outputs, feed)


def test_no_padding_is_computed_beyond_the_stride(tmp_path: Path) -> None:
    theirs = published(tmp_path)
    recorder: Any = Recorder(theirs.session)
    detector = Scrfd(theirs, 50.0, recorder)
    detector.look(noise(720, 1280), (640, 360))
    detector.look(noise(720, 1280), (640, 360), (192, 64, 448, 288))
    assert recorder.shapes == [(1, 3, 384, 640), (1, 3, 224, 256)]


def test_what_an_earlier_picture_left_in_the_buffer_is_not_seen(tmp_path: Path) -> None:
    detector, fresh = split(published(tmp_path)), split(published(tmp_path))
    small, large = noise(300, 500), np.full((1000, 1000, 3), 255, np.uint8)
    detector.look(large, (640, 640))
    seen = [one.box for one in detector.look(small, (320, 192))]
    assert seen == [one.box for one in fresh.look(small, (320, 192))] != []


def test_of_boxes_that_overlap_the_surest_is_kept() -> None:
    boxes = np.array([(0, 0, 9, 9), (1, 1, 10, 10), (50, 50, 59, 59), (0, 0, 9, 9)], np.float32)
    scores = np.array([0.6, 0.9, 0.7, 0.6], np.float32)
    assert suppress(boxes, scores, 0.4) == [1, 2]
    assert suppress(boxes, scores, 0.7) == [1, 2, 0]  # 81 of 119 pixels are shared
    assert suppress(boxes[:0], scores[:0], 0.4) == []


@pytest.mark.parametrize(
    ("height", "width"), [(720, 1280), (1080, 1920), (480, 640), (432, 768), (721, 1283)]
)
def test_a_part_is_scaled_as_the_whole_is(height: int, width: int) -> None:
    image, size = noise(720, 1280)[:height, :width], (640, round(640 * height / width))
    if image.shape[:2] != (height, width):
        image = cv2.resize(image, (width, height))  # type: ignore[assignment]
    whole = cv2.resize(image, size)
    for window in ((64, 32, 320, 256), (320, 160, *size)):
        left, top, right, bottom = window
        part = scaled_part(image, size, window, Scratch())
        assert np.array_equal(part, whole[top:bottom, left:right])


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((600, 300, 700, 400), (224, 64, 416, 288)),
        ((0, 0, 10, 10), (0, 0, 96, 96)),
        ((1270, 700, 1280, 720), (544, 256, 640, 360)),
        ((-50, -50, 5000, 5000), (0, 0, 640, 360)),
    ],
)
def test_a_window_has_a_margin_and_lies_on_the_detector_s_grid(
    region: tuple[float, float, float, float], expected: tuple[int, int, int, int]
) -> None:
    assert window_around(region, (640, 360), 0.5, 64) == expected


def test_a_region_outside_the_picture_has_an_empty_window() -> None:
    left, _, right, _ = window_around((2000, 0, 2100, 50), (640, 360), 0.5, 64)
    assert left >= right
