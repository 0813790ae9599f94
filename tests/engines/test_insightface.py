"""The InsightFace engine: what its own classes find, said in our values."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from insightface.app import FaceAnalysis

from streamproc.engines import insightface_models
from streamproc.engines.base import FaceEngine
from streamproc.engines.load import load_engine
from streamproc.errors import EngineError
from streamproc.model.face import Face
from streamproc.model.media import Image
from streamproc.settings import EngineConfig


def load(pack: Path | str, **settings: object) -> FaceEngine:
    return load_engine(EngineConfig.model_validate({"pack": str(pack), **settings}))


def with_white_patches(*corners: tuple[int, int]) -> Image:
    """640 × 384, so that the toy detector at 640 sees it as it is."""
    image = np.full((384, 640, 3), 20, np.uint8)
    for left, top in corners:
        image[top : top + 32, left : left + 32] = 255
    return image


def cosine(one: Face, other: Face) -> float:
    assert one.embedding is not None
    assert other.embedding is not None
    return float(one.embedding @ other.embedding)


# The toy pack: on any machine.


def test_a_folder_is_a_pack_and_says_what_it_is(toy_pack: Path) -> None:
    info = load(toy_pack).info
    assert (info.name, info.pack, info.dimension) == ("insightface", "toys", 48)
    assert info.providers == ("CPUExecutionProvider",)
    assert info.calibration == "guessed"
    assert "non-commercial" in info.licence
    assert set(info.model_version) <= set("0123456789.")


@pytest.mark.parametrize("step", ["split_heads", "spell_out_prelu"])
def test_a_pack_whose_networks_are_made_otherwise_runs_as_published(
    toy_pack: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("unknown layout")

    picture = with_white_patches((64, 64), (320, 160))
    expected = load(toy_pack).analyse([picture])[0]
    monkeypatch.setattr(insightface_models, step, fails)
    found = load(toy_pack).analyse([picture])[0]
    assert "runs as published, slower; its faster form: unknown layout" in caplog.text
    assert [face.box for face in found] == [face.box for face in expected]
    assert cosine(found[0], expected[0]) > 0.999


def test_a_recogniser_of_one_face_at_a_time_is_a_pack_too(toy_pack: Path) -> None:
    path = toy_pack / "recogniser.onnx"
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, path)
    found = load(toy_pack).analyse([with_white_patches((64, 64), (320, 160))])[0]
    assert len(found) == 2
    assert all(face.embedding is not None for face in found)


def test_the_model_version_is_that_of_the_recognition_weights(toy_pack: Path) -> None:
    version = load(toy_pack).info.model_version
    (toy_pack / "genderage.onnx").unlink()
    assert load(toy_pack).info.model_version == version
    recogniser = onnx.load(toy_pack / "recogniser.onnx")
    recogniser.graph.name = "another"
    onnx.save(recogniser, toy_pack / "recogniser.onnx")
    assert load(toy_pack).info.model_version != version


def test_faces_are_found_with_everything_the_pack_measures(toy_pack: Path) -> None:
    engine = load(toy_pack, detection_sizes=[640])
    ((face,),) = engine.analyse([with_white_patches((320, 160))], attributes=True)
    assert face.box.left * 640 == pytest.approx(288, abs=1)
    assert face.box.width * 640 == pytest.approx(64, abs=1)
    assert face.box.height * 384 == pytest.approx(64, abs=1)
    assert face.confidence == pytest.approx(98.2, abs=0.3)
    marks = {mark.type: mark for mark in face.landmarks}
    assert list(marks) == ["eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"]
    assert marks["eyeLeft"].x < marks["eyeRight"].x
    assert face.pose is not None
    assert face.quality is not None
    assert (face.age, face.gender) == (42, "Male")
    assert face.embedding is not None
    assert face.embedding.dtype == np.float32
    assert np.linalg.norm(face.embedding) == pytest.approx(1, abs=1e-6)


def test_age_and_gender_are_told_only_to_who_asks(toy_pack: Path) -> None:
    ((face,),) = load(toy_pack, detection_sizes=[640]).analyse([with_white_patches((320, 160))])
    assert (face.age, face.gender) == (None, None)


def test_a_pack_without_attributes_says_nothing_of_age_and_gender(toy_pack: Path) -> None:
    (toy_pack / "genderage.onnx").unlink()
    engine = load(toy_pack, detection_sizes=[640])
    ((face,),) = engine.analyse([with_white_patches((96, 64))], attributes=True)
    assert (face.age, face.gender) == (None, None)


def test_many_pictures_in_one_call_give_what_each_gives_alone(toy_pack: Path) -> None:
    engine = load(toy_pack, detection_sizes=[640])
    crowd = with_white_patches(*((x, y) for x in range(32, 600, 96) for y in range(32, 330, 96)))
    walls = np.random.default_rng(5).integers(0, 120, crowd.shape, np.uint8)
    crowd = np.maximum(crowd, walls)  # so that no two faces are alike
    images = [with_white_patches((320, 160)), with_white_patches(), crowd]
    together = engine.analyse(images)
    assert [len(faces) for faces in together] == [1, 0, 24]
    for image, faces in zip(images, together, strict=True):
        for alone, joint in zip(engine.analyse([image])[0], faces, strict=True):
            assert alone.box == joint.box
            assert cosine(alone, joint) == pytest.approx(1, abs=1e-5)


def test_a_recogniser_that_takes_one_face_at_a_time_gets_one(toy_pack: Path) -> None:
    recogniser = onnx.load(toy_pack / "recogniser.onnx")
    recogniser.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(recogniser, toy_pack / "recogniser.onnx")
    engine = load(toy_pack, detection_sizes=[640])
    assert len(engine.analyse([with_white_patches((64, 64), (320, 160))])[0]) == 2


def test_a_detector_of_one_size_looks_once(toy_pack: Path) -> None:
    detector = onnx.load(toy_pack / "detector.onnx")
    for axis in (2, 3):
        detector.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 640
    onnx.save(detector, toy_pack / "detector.onnx")
    ((face,),) = load(toy_pack).analyse([with_white_patches((320, 160))])
    assert face.box.width * 640 == pytest.approx(64, abs=1)


def test_the_finest_size_has_the_first_word_and_the_coarse_one_fills_in(toy_pack: Path) -> None:
    image = with_white_patches((0, 0))
    image[:] = 255  # at 640 a hundred faces, at 128 a few that fill the picture
    fine = load(toy_pack, detection_sizes=[640]).analyse([image])[0]
    both = load(toy_pack, detection_sizes=[128, 640]).analyse([image])[0]
    coarse = load(toy_pack, detection_sizes=[128]).analyse([image])[0]
    assert {face.box for face in fine} < {face.box for face in both}
    assert {face.box for face in both} - {face.box for face in fine} <= {
        face.box for face in coarse
    }


def test_threads_that_share_the_engine_get_the_same_answers(toy_pack: Path) -> None:
    engine = load(toy_pack)
    images = [with_white_patches((32 * (1 + i % 15), 160)) for i in range(40)]
    alone = [engine.analyse([image])[0] for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: engine.analyse([image])[0], images))
    assert [[face.box for face in faces] for faces in together] == [
        [face.box for face in faces] for faces in alone
    ]


@pytest.mark.parametrize("shape", [(80, 80), (5000, 80), (80, 20_000), (1, 1), (1, 4000)])
def test_pictures_of_odd_shapes_are_no_trouble(toy_pack: Path, shape: tuple[int, int]) -> None:
    assert load(toy_pack).analyse([np.zeros((*shape, 3), np.uint8)]) == [[]]


def test_a_provider_that_is_not_there_is_an_error_and_no_fallback(toy_pack: Path) -> None:
    with pytest.raises(EngineError, match=r"CUDAExecutionProvider.*onnxruntime-gpu"):
        load(toy_pack, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])


def test_a_provider_that_does_not_start_is_an_error_and_no_fallback(
    toy_pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "onnxruntime.get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    with pytest.raises(EngineError, match="could not start CUDAExecutionProvider"):
        load(toy_pack, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])


def test_a_pack_by_name_is_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reach(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", reach)
    with pytest.raises(EngineError) as caught:
        load("buffalo_sc", models_dir=tmp_path)
    assert "pack buffalo_sc is not installed" in str(caught.value)
    assert "streamproc models install buffalo_sc --accept-license" in str(caught.value)
    assert "--engine dlib" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_pack_by_name_is_found_where_insightface_keeps_it(toy_pack: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    toy_pack.rename(tmp_path / "models" / "toys")
    assert load("toys", models_dir=tmp_path).info.pack == "toys"


# The real pack: where the test data is.


def test_it_finds_what_insightface_finds(
    mbf_engine: FaceEngine, mbf_folder: Path, six_people: Image
) -> None:
    with warnings.catch_warnings(action="ignore"):
        reference = FaceAnalysis(str(mbf_folder), providers=["CPUExecutionProvider"])
        reference.prepare(ctx_id=0)
        theirs = {tuple(np.rint(face.bbox).astype(int)): face for face in reference.get(six_people)}
    ours = mbf_engine.analyse([six_people], attributes=True)[0]
    assert len(ours) == len(theirs) == 6
    height, width = six_people.shape[:2]
    for face in ours:
        left, top = face.box.left * width, face.box.top * height
        edges = min(theirs, key=lambda edges: abs(edges[0] - left) + abs(edges[1] - top))
        their = theirs[edges]
        assert (left, top) == pytest.approx(edges[:2], abs=1)
        assert face.embedding is not None
        assert face.embedding @ their.normed_embedding > 0.999
        assert face.confidence == pytest.approx(their.det_score * 100, abs=0.5)
        assert (face.age, face.gender) == (their.age, {"M": "Male", "F": "Female"}[their.sex])
        points = [(mark.x * width, mark.y * height) for mark in face.landmarks]
        assert np.array(points) == pytest.approx(their.kps, abs=1)


def test_it_sees_where_insightface_sees_to_a_hundredth_of_a_pixel(
    mbf_engine: FaceEngine, mbf_folder: Path, six_people: Image
) -> None:
    with warnings.catch_warnings(action="ignore"):
        reference = FaceAnalysis(
            str(mbf_folder), allowed_modules=["detection"], providers=["CPUExecutionProvider"]
        )
        reference.prepare(ctx_id=0)
        boxes, points = reference.models["detection"].detect(six_people, input_size=[(640, 448)])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-areas)
    ours = mbf_engine.find(six_people)
    assert len(ours) == len(boxes) == 6
    for one, box, five in zip(ours, boxes[order], points[order], strict=True):
        assert one.box == pytest.approx(box[:4], abs=0.01)
        assert one.points == pytest.approx(five, abs=0.01)
        assert one.confidence == pytest.approx(box[4] * 100, abs=0.01)


def test_faces_come_largest_first(mbf_engine: FaceEngine, six_people: Image) -> None:
    areas = [face.box.area for face in mbf_engine.analyse([six_people])[0]]
    assert areas == sorted(areas, reverse=True)


def test_a_face_that_fills_its_picture_is_found(
    mbf_engine: FaceEngine, testdata: Path, filling_face: Image
) -> None:
    happy = cv2.imread(str(testdata / "photos" / "insightface" / "happy.png"))
    for image in (filling_face, happy):
        (face,) = mbf_engine.analyse([image])[0]  # type: ignore[list-item]
        assert face.box.height > 0.7


@pytest.mark.parametrize("angle", [-25, 25])
def test_a_picture_turned_clockwise_turns_the_roll_by_as_much(
    mbf_engine: FaceEngine, astronaut: Image, angle: int
) -> None:
    middle = (astronaut.shape[1] / 2, astronaut.shape[0] / 2)
    turn = cv2.getRotationMatrix2D(middle, -angle, 1.0)  # OpenCV counts the other way
    turned: Image = cv2.warpAffine(astronaut, turn, (512, 512))  # type: ignore[assignment]
    before, after = (mbf_engine.analyse([image])[0][0].pose for image in (astronaut, turned))
    assert before is not None
    assert after is not None
    assert after.roll - before.roll == pytest.approx(angle, abs=6)


def test_a_mirrored_face_looks_the_other_way(mbf_engine: FaceEngine, six_people: Image) -> None:
    """The man who stands on the right looks to the viewer's left."""
    man = six_people[30:280, 850:1050]
    images = [np.ascontiguousarray(man), np.ascontiguousarray(man[:, ::-1])]
    pose, mirrored = (faces[0].pose for faces in mbf_engine.analyse(images))
    assert pose is not None
    assert mirrored is not None
    assert pose.yaw < -10
    assert mirrored.yaw > 10


def test_people_are_told_apart(mbf_engine: FaceEngine, testdata: Path) -> None:
    photos = testdata / "photos" / "face_recognition"
    images = {
        name: cv2.imread(str(photos / name))
        for name in ("obama.jpg", "obama2.jpg", "obama-720p.jpg", "biden.jpg")
    }
    faces = {
        name: mbf_engine.analyse([image])[0][0]  # type: ignore[list-item]
        for name, image in images.items()
    }

    def similarity(one: str, other: str) -> float:
        return mbf_engine.similarity(cosine(faces[one], faces[other]))

    assert similarity("obama.jpg", "obama2.jpg") > 95
    assert similarity("obama.jpg", "obama-720p.jpg") > 95
    assert similarity("obama.jpg", "biden.jpg") < 70
