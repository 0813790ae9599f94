"""The object detector: what it makes of a network's output, and what it says of a wrong one."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamproc.engines.coco import CLASSES
from streamproc.engines.yolox import YoloxDetector, letterbox
from streamproc.errors import EngineError
from streamproc.model.detection import Detection
from streamproc.model.media import Image

CPU = ["CPUExecutionProvider"]
CELLS = 52 * 52 + 26 * 26 + 13 * 13
PERSON, BUS, CAT = (CLASSES.index(name) for name in ("person", "bus", "cat"))

SaveNetwork = Callable[..., Path]


@pytest.fixture
def save_network(tmp_path: Path) -> SaveNetwork:
    """A network that gives the same answer for every picture."""

    def save(answer: NDArray[np.float32], sides: Sequence[int | str] = (1, 3, 416, 416)) -> Path:
        float_ = TensorProto.FLOAT
        graph = helper.make_graph(
            [helper.make_node("Identity", ["answer"], ["output"])],
            "toy",
            [helper.make_tensor_value_info("images", float_, sides)],
            [helper.make_tensor_value_info("output", float_, answer.shape)],
            [numpy_helper.from_array(answer, "answer")],
        )
        opset = helper.make_opsetid("", 13)
        path = tmp_path / "toy.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
        return path

    return save


@pytest.fixture(scope="module")
def yolox(testdata: Path) -> YoloxDetector:
    path = testdata / "models" / "analysis" / "yolox_nano_coco.onnx"
    return YoloxDetector(path, CPU, threads=1)


def say(
    *seen: tuple[int, tuple[int, int], tuple[float, float, float, float], float],
) -> NDArray[np.float32]:
    """The raw output that means these objects: class, column and row of the cell at stride 8,
    box in pixels of the network's input (left, top, width, height), score."""
    answer = np.zeros((1, CELLS, 85), np.float32)
    for class_, (column, row), (left, top, width, height), score in seen:
        cell = answer[0, row * 52 + column]
        cell[0] = (left + width / 2) / 8 - column
        cell[1] = (top + height / 2) / 8 - row
        cell[2:4] = math.log(width / 8), math.log(height / 8)
        cell[4], cell[5 + class_] = 0.9, score / 0.9
    return answer


def test_boxes_are_ratios_of_the_picture_and_not_of_its_letterbox(
    save_network: SaveNetwork,
) -> None:
    network = save_network(say((BUS, (10, 5), (104, 26, 208, 52), 0.8)))
    (bus,) = YoloxDetector(network, CPU, 1).detect(np.zeros((416, 832, 3), np.uint8))
    assert bus.name == "bus"
    assert bus.confidence == pytest.approx(80.0, abs=1e-3)
    box = (bus.box.left, bus.box.top, bus.box.width, bus.box.height)
    assert box == pytest.approx((0.25, 0.125, 0.5, 0.25), abs=1e-5)


def test_every_stride_has_its_own_cells(save_network: SaveNetwork) -> None:
    answer = say()
    for first, stride in ((0, 8), (52 * 52, 16), (52 * 52 + 26 * 26, 32)):
        cell = answer[0, first + 416 // stride * 2 + 3]  # the third row, the fourth column
        cell[:4] = 0.5, 0.5, 0.0, 0.0
        cell[4], cell[5 + CAT] = 1.0, 0.9 - stride / 100
    cats = YoloxDetector(save_network(answer), CPU, 1).detect(np.zeros((416, 416, 3), np.uint8))
    edges = [(cat.box.left * 416, cat.box.top * 416, cat.box.width * 416) for cat in cats]
    assert edges == [pytest.approx((3 * side, 2 * side, side), abs=1e-3) for side in (8, 16, 32)]


def test_one_object_is_told_once_but_two_classes_may_share_a_place(
    save_network: SaveNetwork,
) -> None:
    network = save_network(
        say(
            (PERSON, (10, 10), (40, 40, 100, 200), 0.9),
            (PERSON, (11, 10), (45, 42, 100, 200), 0.6),
            (CAT, (12, 10), (42, 40, 100, 200), 0.5),
            (PERSON, (40, 10), (300, 40, 100, 200), 0.7),
        )
    )
    found = YoloxDetector(network, CPU, 1).detect(np.zeros((416, 416, 3), np.uint8))
    assert [(one.name, round(one.confidence)) for one in found] == [
        ("person", 90),
        ("person", 70),
        ("cat", 50),
    ]


def test_boxes_end_at_the_picture_s_edges_and_the_padding_holds_nothing(
    save_network: SaveNetwork,
) -> None:
    network = save_network(
        say(
            (PERSON, (1, 1), (-50, -20, 150, 120), 0.9),
            (CAT, (20, 40), (100, 300, 60, 60), 0.8),  # below the picture
        )
    )
    (person,) = YoloxDetector(network, CPU, 1).detect(np.zeros((208, 416, 3), np.uint8))
    assert (person.box.left, person.box.top) == (0.0, 0.0)
    assert person.box.width == pytest.approx(100 / 416, abs=1e-5)
    assert person.box.height == pytest.approx(100 / 208, abs=1e-5)


def test_what_is_less_sure_than_ten_is_left_out(save_network: SaveNetwork) -> None:
    network = save_network(
        say(
            (PERSON, (10, 10), (40, 40, 60, 60), 0.31),
            (CAT, (30, 10), (200, 40, 60, 60), 0.11),
            (BUS, (30, 30), (200, 200, 60, 60), 0.09),
        )
    )
    detector = YoloxDetector(network, CPU, 1)
    black = np.zeros((416, 416, 3), np.uint8)
    assert [one.name for one in detector.detect(black)] == ["person", "cat"]


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(100, 50, (416, 208)), (30, 3000, (4, 416)), (1, 5000, (1, 416))]
)
def test_a_picture_of_any_size_fills_the_letterbox_from_its_top_left(
    height: int, width: int, shown: tuple[int, int]
) -> None:
    white = np.full((height, width, 3), 255, np.uint8)
    planes, scale = letterbox(white, (416, 416))
    assert planes.shape == (1, 3, 416, 416)
    assert scale == 416 / max(height, width)
    assert (planes[0, :, : shown[0], : shown[1]] == 255).all()
    assert (planes == 114).sum() == 3 * (416 * 416 - shown[0] * shown[1])


def test_a_file_that_is_no_such_network_is_refused_in_words(
    save_network: SaveNetwork, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"not a network")
    for path in (damaged, tmp_path / "absent.onnx"):
        with pytest.raises(EngineError, match=r"cannot be loaded: .*models install yolox_nano"):
            YoloxDetector(path, CPU, 1)
    with pytest.raises(EngineError, match=r"wants 1x3x224xw as its input, .*1x3xHxW"):
        YoloxDetector(save_network(say(), sides=(1, 3, 224, "w")), CPU, 1)
    with pytest.raises(EngineError, match=r"gives 1x100x85 .* and not 1x3549x85"):
        YoloxDetector(save_network(np.zeros((1, 100, 85), np.float32)), CPU, 1)
    with pytest.raises(EngineError, match="this ONNX Runtime has only"):
        YoloxDetector(save_network(say()), ["AbacusExecutionProvider"], 1)


@pytest.mark.testdata
def test_everyday_objects_are_found_where_they_are(yolox: YoloxDetector, testdata: Path) -> None:
    def seen(number: int) -> list[Detection]:
        picture = cv2.imread(str(testdata / "photos" / "objects" / f"fastestdet_{number}.jpg"))
        found = yolox.detect(np.asarray(picture, np.uint8))
        return [one for one in found if one.confidence >= 50]

    def names(number: int) -> list[str]:
        return sorted(one.name for one in seen(number))

    assert names(0) == ["baseball bat", "person", "person", "person", "person"]
    assert names(1) == ["bus", "person", "person"]
    assert names(2) == ["person", "person", "person", "remote"]
    assert names(3) == ["frisbee"] * 4 + ["person"] * 3
    (cat,) = seen(4)
    assert cat.name == "cat"
    box = (cat.box.left, cat.box.top, cat.box.width, cat.box.height)
    assert box == pytest.approx((0.17, 0.33, 0.54, 0.66), abs=0.03)


@pytest.mark.testdata
def test_a_mirrored_picture_shows_the_same_mirrored(yolox: YoloxDetector, astronaut: Image) -> None:
    def person(image: Image) -> Detection:
        return next(one for one in yolox.detect(image) if one.name == "person")

    one, other = person(astronaut), person(np.ascontiguousarray(astronaut[:, ::-1]))
    assert one.confidence > 50
    assert one.box.left + one.box.width == pytest.approx(1 - other.box.left, abs=0.05)
    assert one.box.top == pytest.approx(other.box.top, abs=0.05)


@pytest.mark.testdata
def test_threads_may_share_a_detector(yolox: YoloxDetector, astronaut: Image) -> None:
    pictures = [np.roll(astronaut, 40 * turn, axis=1) for turn in range(6)]
    alone = [yolox.detect(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(yolox.detect, pictures)) == alone


def test_the_version_follows_the_weights(save_network: SaveNetwork) -> None:
    one = YoloxDetector(save_network(say()), CPU, 1).version
    other = YoloxDetector(save_network(say((BUS, (1, 1), (9, 9, 9, 9), 0.5))), CPU, 1).version
    assert one != other
    assert set(one + other) <= set("0123456789.")
