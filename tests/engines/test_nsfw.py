"""The moderation classifier: what reaches its network, what comes out, what it refuses."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamproc.engines.nsfw import CLASSES, NsfwClassifier, network_input
from streamproc.engines.packs import model_version
from streamproc.errors import EngineError
from streamproc.model.media import Image

CPU = ["CPUExecutionProvider"]
COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}  # BGR


def plain(colour: str, height: int = 90, width: int = 160) -> Image:
    return np.full((height, width, 3), COLOURS[colour], np.uint8)


@pytest.fixture
def save_classifier(tmp_path: Path) -> Callable[..., Path]:
    """A network that calls red Drawing, green Hentai and blue Neutral, by the mean of each."""

    def save(classes: int = 5, side: int = 224) -> Path:
        weights = 8 * np.eye(3, classes, dtype=np.float32)
        nodes = [
            helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["output"], axis=1),
        ]
        float_ = TensorProto.FLOAT
        graph = helper.make_graph(
            nodes, "toy",
            [helper.make_tensor_value_info("input", float_, ["n", side, side, 3])],
            [helper.make_tensor_value_info("output", float_, ["n", classes])],
            [numpy_helper.from_array(weights, "weights")],
        )  # fmt: skip
        path = tmp_path / "toy.onnx"
        opset = helper.make_opsetid("", 13)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
        return path

    return save


@pytest.mark.parametrize(
    ("colour", "class_"), [("red", "Drawing"), ("green", "Hentai"), ("blue", "Neutral")]
)
def test_the_network_sees_rgb_from_0_to_1_and_answers_by_class(
    colour: str, class_: str, save_classifier: Callable[..., Path]
) -> None:
    probabilities = NsfwClassifier(save_classifier(), CPU, 1).classify(plain(colour))
    assert list(probabilities) == list(CLASSES)
    assert sum(probabilities.values()) == pytest.approx(1.0)
    # One channel at 1, weight 8, five classes.
    assert probabilities[class_] == pytest.approx(np.exp(8) / (np.exp(8) + 4), rel=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (90, 160), (224, 224), (1080, 607)])
def test_a_picture_of_any_size_is_stretched_to_the_square(height: int, width: int) -> None:
    square = network_input(plain("red", height, width))
    assert square.shape == (1, 224, 224, 3)
    assert square.dtype == np.float32
    assert np.unique(square[..., 0]) == [1.0]
    assert np.unique(square[..., 1:]) == [0.0]


def test_the_whole_picture_is_seen() -> None:
    halves = np.hstack([plain("red", 300, 500), plain("blue", 300, 100)])
    square = network_input(halves)
    assert square[0, :, :, 0].mean() == pytest.approx(5 / 6, abs=0.01)


def test_the_version_changes_with_the_weights(save_classifier: Callable[..., Path]) -> None:
    path = save_classifier()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert NsfwClassifier(path, CPU, 1).version == model_version(sha256)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"classes": 4}, "gives 1x4 numbers for a picture"),
        ({"side": 299}, "does not run"),
    ],
)
def test_another_network_is_refused_with_the_remedy(
    options: dict[str, int], complaint: str, save_classifier: Callable[..., Path]
) -> None:
    with pytest.raises(EngineError, match=complaint) as refused:
        NsfwClassifier(save_classifier(**options), CPU, 1)
    assert "streamproc models install nsfw_mobilenet_v2" in str(refused.value)


def test_a_damaged_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(EngineError, match=r"cannot be loaded.*models install nsfw_mobilenet_v2"):
        NsfwClassifier(path, CPU, 1)


def test_a_provider_that_is_not_there_is_refused(save_classifier: Callable[..., Path]) -> None:
    with pytest.raises(EngineError, match="NoSuchExecutionProvider"):
        NsfwClassifier(save_classifier(), ["NoSuchExecutionProvider"], 1)


@pytest.fixture(scope="module")
def nsfw(testdata: Path) -> NsfwClassifier:
    path = testdata / "models" / "analysis" / "nsfw_mobilenet_v2.onnx"
    return NsfwClassifier(path, CPU, threads=1)


@pytest.mark.testdata
def test_an_astronaut_is_neutral(nsfw: NsfwClassifier, astronaut: Image) -> None:
    assert nsfw.classify(astronaut)["Neutral"] > 0.5


@pytest.mark.testdata
def test_threads_share_one_network(nsfw: NsfwClassifier, astronaut: Image) -> None:
    alone = nsfw.classify(astronaut)
    with ThreadPoolExecutor(4) as threads:
        for answer in threads.map(nsfw.classify, [astronaut] * 8):
            assert answer == pytest.approx(alone, abs=1e-5)


@pytest.mark.testdata
def test_everyday_photos_raise_no_alarm_at_80(nsfw: NsfwClassifier, testdata: Path) -> None:
    photos = sorted(
        photo
        for photo in (testdata / "photos").rglob("*")
        if photo.suffix in {".jpg", ".jpeg", ".png"}
    )
    assert len(photos) > 30
    for photo in photos:
        image = cv2.imread(str(photo))
        assert image is not None
        seen = nsfw.classify(image)  # type: ignore[arg-type]
        assert seen["Porn"] + seen["Hentai"] < 0.8, photo.name
        assert seen["Sexy"] < 0.8, photo.name
