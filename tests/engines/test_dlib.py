"""The dlib engine: people recognised with nothing but packages."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import av
import cv2
import dlib
import numpy as np
import onnxruntime
import pytest

from streamproc.engines.base import FaceEngine
from streamproc.engines.dlib_locator import confidence_of, margin_of, models_folder
from streamproc.engines.dlib_resnet import build_resnet
from streamproc.engines.load import load_engine
from streamproc.errors import EngineError
from streamproc.model.face import Face
from streamproc.model.media import Image
from streamproc.settings import EngineConfig

RESNET = "dlib_face_recognition_resnet_model_v1.dat"


def similarity(engine: FaceEngine, one: Face, other: Face) -> float:
    assert one.embedding is not None
    assert other.embedding is not None
    return engine.similarity(float(one.embedding @ other.embedding))


def test_it_says_what_it_is(dlib_engine: FaceEngine) -> None:
    info = dlib_engine.info
    assert (info.name, info.dimension, info.calibration) == ("dlib", 128, "measured")
    assert "public domain" in info.licence
    assert set(info.model_version) <= set("0123456789.")
    assert "face_recognition_models" not in sys.modules  # found without importing it


def test_the_network_is_dlib_s_own_to_the_last_digits(dlib_engine: FaceEngine) -> None:
    chips = np.random.default_rng(3).integers(0, 256, (2, 150, 150, 3), np.uint8)
    chips[1] = cv2.GaussianBlur(chips[1], (0, 0), 6)
    path = models_folder() / RESNET
    theirs = dlib.face_recognition_model_v1(str(path)).compute_face_descriptor(list(chips))
    session = onnxruntime.InferenceSession(build_resnet(path), providers=["CPUExecutionProvider"])
    planes = chips.transpose(0, 3, 1, 2).astype(np.float32)
    (ours,) = session.run(None, {"chips": planes})
    assert ours == pytest.approx(np.array(theirs), abs=1e-5)


def test_a_face_has_what_dlib_measures_and_no_more(
    dlib_engine: FaceEngine, astronaut: Image
) -> None:
    (face,) = dlib_engine.analyse([astronaut])[0]
    marks = {mark.type: mark for mark in face.landmarks}
    assert set(marks) == {"eyeLeft", "eyeRight", "nose"}
    assert marks["eyeLeft"].x < marks["nose"].x < marks["eyeRight"].x
    assert marks["nose"].y > marks["eyeLeft"].y
    assert face.box.left < marks["eyeLeft"].x < face.box.left + face.box.width
    assert 50 <= face.confidence <= 100
    assert face.pose is not None
    assert abs(face.pose.roll) < 15
    assert face.quality is not None
    assert (face.age, face.gender) == (None, None)
    assert face.embedding is not None
    assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-6)


def test_everyone_in_a_group_is_found(dlib_engine: FaceEngine, six_people: Image) -> None:
    faces = dlib_engine.analyse([six_people])[0]
    assert len(faces) == 6
    areas = [face.box.area for face in faces]
    assert areas == sorted(areas, reverse=True)


def test_a_face_that_fills_its_picture_is_found(
    dlib_engine: FaceEngine, filling_face: Image
) -> None:
    (face,) = dlib_engine.analyse([filling_face])[0]
    assert face.box.height > 0.7


@pytest.mark.parametrize("shape", [(80, 80), (2000, 20), (1, 1)])
def test_pictures_of_odd_shapes_are_no_trouble(
    dlib_engine: FaceEngine, shape: tuple[int, int]
) -> None:
    assert dlib_engine.analyse([np.zeros((*shape, 3), np.uint8)]) == [[]]


def camera(astronaut: Image, group: Image, frames: int) -> Iterator[Image]:
    """Both pictures drift and grow before a grey wall; through H.264, as a camera sends it."""
    buffer = BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.options = {"crf": "28"}
        for number in range(frames):
            picture = np.full((720, 1280, 3), 90, np.uint8)
            side = 430 + 18 * number
            picture[60 : 60 + side, 20 + 6 * number : 20 + 6 * number + side] = cv2.resize(
                astronaut, (side, side)
            )
            crowd = cv2.resize(group[150:650, :760], (608, 400))
            picture[280 - 8 * number : 680 - 8 * number, 660:1268] = crowd
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    with av.open(BytesIO(buffer.getvalue()), "r") as received:
        for frame in received.decode(video=0):
            yield frame.to_ndarray(format="bgr24")  # type: ignore[misc]


def test_the_enrolled_are_recognised_in_a_moving_camera_and_strangers_are_not(
    dlib_engine: FaceEngine, astronaut: Image, six_people: Image
) -> None:
    collins = dlib_engine.analyse([astronaut])[0][0]
    group = sorted(dlib_engine.analyse([six_people])[0], key=lambda face: face.box.left)
    enrolled = [collins, group[0], group[1]]
    strangers = group[2:]
    times_seen = [0, 0, 0]
    for frame in camera(astronaut, six_people, 6):
        for face in dlib_engine.analyse([frame])[0]:
            alike = [similarity(dlib_engine, face, known) for known in enrolled]
            if max(alike) >= 90:
                times_seen[int(np.argmax(alike))] += 1
                assert max(similarity(dlib_engine, face, other) for other in strangers) < max(alike)
    assert times_seen[0] >= 5
    assert times_seen[1] >= 4
    assert times_seen[2] >= 4
    for one in group:
        for other in group:
            assert one is other or similarity(dlib_engine, one, other) < 90


def test_threads_that_share_the_engine_get_the_same_answers(
    dlib_engine: FaceEngine, astronaut: Image
) -> None:
    images = [np.ascontiguousarray(astronaut[: 300 + 20 * i]) for i in range(4)]
    alone = [dlib_engine.analyse([image])[0] for image in images]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda image: dlib_engine.analyse([image])[0], images))
    for faces, again in zip(alone, together, strict=True):
        assert [face.box for face in faces] == [face.box for face in again]


def test_confidence_and_margin_are_each_other_s_inverse() -> None:
    for confidence in (1.0, 50.0, 79.0, 99.0):
        assert confidence_of(margin_of(confidence)) == pytest.approx(confidence)
    assert confidence_of(0.0) < confidence_of(0.5) < confidence_of(2.0) <= 100


def test_without_dlib_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(EngineError, match=r"dlib-bin.*pip install 'streamproc\[offline\]'"):
        load_engine(EngineConfig(name="dlib"))


def test_without_the_weights_package_the_error_names_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"face_recognition_models.*pip install"):
        load_engine(EngineConfig(name="dlib"))


@pytest.mark.parametrize("keep", [0, 300, 20_000, 22_400_000])
def test_weights_that_are_cut_short_are_named(tmp_path: Path, keep: int) -> None:
    damaged = tmp_path / RESNET
    damaged.write_bytes((models_folder() / RESNET).read_bytes()[:keep])
    with pytest.raises(EngineError, match=rf"{damaged}.*face_recognition_models"):
        build_resnet(damaged)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=RESNET):
        build_resnet(tmp_path / RESNET)
