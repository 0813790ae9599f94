"""Attributes are measured by the models that are installed, on the face and nowhere else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import botocore.session
import cv2
import numpy as np
import pytest

from streamproc.engines.base import FaceEngine
from streamproc.engines.detailed import DetailedEngine
from streamproc.engines.face_attributes import FaceAttributes
from streamproc.engines.face_mesh import LANDMARKS
from streamproc.engines.fake import FakeEngine
from streamproc.engines.runtime import CPU
from streamproc.errors import EngineError
from streamproc.model.face import BoundingBox, Face, Landmark, Rated, Traits
from streamproc.model.media import Image
from streamproc.model.members import ALL_LANDMARKS
from tests.engines import toy_attributes as toys

MESH, SHAPES = "mediapipe_face_landmarks", "mediapipe_face_blendshapes"
EMOTIONS, GLASSES = "emotion_fer2013", "glasses_mobilenetv3s"
FIVE = {"eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"}


def loaded(folder: Path) -> FaceAttributes:
    return FaceAttributes(folder, [CPU], 1)


def a_face(size: int = 120, eyes: tuple[float, float, float, float] = (0.3, 0.4, 0.7, 0.4)) -> Face:
    """In the middle of 400 × 400; eyes are x, y, x, y in the box."""
    side = size / 400
    start = 0.5 - side / 2
    left_x, left_y, right_x, right_y = (start + side * place for place in eyes)
    return Face(
        BoundingBox(start, start, side, side),
        99.0,
        (Landmark("eyeLeft", left_x, left_y), Landmark("eyeRight", right_x, right_y)),
    )


GREY = np.full((400, 400, 3), 128, np.uint8)


# Toy networks: on any machine.


def test_without_models_nothing_is_measured_and_nothing_changes(tmp_path: Path) -> None:
    face = a_face()
    measured = loaded(tmp_path).measure(GREY, face)
    assert measured.traits == Traits()
    assert measured.landmarks == face.landmarks


@pytest.mark.parametrize(
    ("installed", "told"),
    [
        ((EMOTIONS,), {"emotions"}),
        ((MESH,), {"landmarks"}),
        ((MESH, SHAPES), {"landmarks", "smile", "eyes_open", "mouth_open"}),
        ((MESH, GLASSES), {"landmarks", "eyeglasses"}),
        ((SHAPES, GLASSES), set()),  # which look at a mesh
        (
            (MESH, SHAPES, EMOTIONS, GLASSES),
            {"landmarks", "smile", "eyes_open", "mouth_open", "emotions", "eyeglasses"},
        ),
    ],
)
def test_each_model_adds_what_it_can_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...], told: set[str]
) -> None:
    toys.install(tmp_path, *installed, monkeypatch=monkeypatch)
    face = loaded(tmp_path).measure(GREY, a_face())
    assert face.traits is not None
    names = ("smile", "eyes_open", "mouth_open", "eyeglasses", "emotions")
    given = {name for name in names if getattr(face.traits, name)}
    assert given | ({"landmarks"} if len(face.landmarks) == 30 else set()) == told


@pytest.fixture
def toy_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return toys.install(tmp_path, MESH, SHAPES, EMOTIONS, GLASSES, monkeypatch=monkeypatch)


def test_coefficients_become_yes_or_no_by_their_distance_from_the_boundary(
    toy_models: Path,
) -> None:
    traits = loaded(toy_models).measure(GREY, a_face()).traits
    assert traits is not None
    for rated, confidence in (
        (traits.smile, 75),
        (traits.eyes_open, 95),
        (traits.mouth_open, 75),
        (traits.eyeglasses, 100 / (1 + np.exp(toys.GLASSES))),
    ):
        assert rated is not None
        assert rated.value
        assert rated.confidence == pytest.approx(confidence)


def test_emotions_have_rekognition_s_names_the_surest_first(toy_models: Path) -> None:
    traits = loaded(toy_models).measure(GREY, a_face()).traits
    assert traits is not None
    names, shares = zip(*traits.emotions, strict=True)
    assert names == ("CALM", "SAD", "HAPPY", "FEAR", "SURPRISED", "ANGRY", "DISGUSTED")
    assert shares == pytest.approx((30, 25, 20, 10, 10, 5, 0), abs=1e-4)


@pytest.mark.parametrize(
    ("eyes", "chin"),
    [
        ((0.3, 0.4, 0.7, 0.4), (0, 1)),  # upright: the chin is below
        ((0.6, 0.3, 0.6, 0.7), (-1, 0)),  # lying on its right side: to the viewer's left
        ((0.7, 0.6, 0.3, 0.6), (0, -1)),  # upside down
    ],
)
def test_the_mesh_is_laid_where_the_face_is_however_it_is_turned(
    toy_models: Path, eyes: tuple[float, float, float, float], chin: tuple[int, int]
) -> None:
    measured = loaded(toy_models).measure(GREY, a_face(120, eyes))
    marks = {mark.type: np.array([mark.x, mark.y]) * 400 for mark in measured.landmarks}
    scale = 1.5 * 120 / toys.WINDOW
    below = (toys.POINTS["chinBottom"][1] - toys.WINDOW / 2) * scale
    assert marks["chinBottom"] - 200 == pytest.approx(np.array(chin) * below, abs=1e-6)


def test_where_the_mesh_sees_no_face_the_engine_s_landmarks_stay(toy_models: Path) -> None:
    face = a_face()
    measured = loaded(toy_models).measure(np.zeros_like(GREY), face)
    assert measured.landmarks == face.landmarks
    assert measured.traits is not None
    assert (measured.traits.smile, measured.traits.eyeglasses) == (None, None)
    assert measured.traits.emotions  # which needs no mesh


def test_a_face_too_small_is_not_measured(toy_models: Path) -> None:
    attributes = loaded(toy_models)
    assert attributes.measure(GREY, a_face(47)).traits == Traits()
    assert attributes.measure(GREY, a_face(48)).traits != Traits()


@pytest.mark.parametrize("left", [-0.2, 0.85, 1.5])
def test_a_face_that_is_cut_by_the_edge_or_beyond_it_is_no_error(
    toy_models: Path, left: float
) -> None:
    face = Face(BoundingBox(left, 0.1, 0.4, 0.5), 80.0)  # which has no eyes, either
    measured = loaded(toy_models).measure(GREY, face)
    assert np.isfinite([(mark.x, mark.y) for mark in measured.landmarks]).all()


def test_a_damaged_model_is_refused_with_the_command_that_mends_it(
    toy_models: Path, tmp_path: Path
) -> None:
    (damaged,) = toy_models.glob("emotion*.onnx")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(EngineError, match="streamproc models install emotion_fer2013"):
        loaded(toy_models)


def test_who_does_not_ask_for_attributes_pays_nothing(toy_models: Path) -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    FakeEngine.paint(image, 3, 100, 80, 100)
    plain = FakeEngine()
    engine = DetailedEngine(plain, loaded(toy_models))
    assert engine.info == plain.info
    assert engine.similarity(0.4) == plain.similarity(0.4)
    assert engine.cosine(40) == plain.cosine(40)
    ((without,),) = engine.analyse([image], embeddings=False)
    assert without.traits is None
    assert without.embedding is None
    (asked,), nobody = engine.analyse([image, np.zeros_like(image)], attributes=True)
    assert asked.traits is not None
    assert value(asked.traits.smile)
    assert asked.embedding is not None
    assert nobody == []


def test_the_mesh_gives_every_landmark_that_rekognition_has() -> None:
    model = botocore.session.get_session().get_service_model("rekognition")
    assert set(LANDMARKS) == set(model.shape_for("LandmarkType").enum)
    assert list(LANDMARKS) == list(ALL_LANDMARKS) == model.shape_for("LandmarkType").enum


# The real models.


@pytest.fixture(scope="module")
def attributes(testdata: Path) -> FaceAttributes:
    return FaceAttributes(testdata / "models" / "analysis", [CPU], 2)


@pytest.fixture(scope="module")
def detailed(mbf_engine: FaceEngine, attributes: FaceAttributes) -> FaceEngine:
    return DetailedEngine(mbf_engine, attributes)


def faces_of(engine: FaceEngine, image: Image) -> list[Face]:
    return engine.analyse([image], attributes=True, embeddings=False)[0]


def photo(testdata: Path, name: str) -> Image:
    return read(testdata / "photos" / "insightface" / name)


def read(path: Path) -> Image:
    picture: Image | None = cv2.imread(str(path))  # type: ignore[assignment]
    assert picture is not None, path
    return picture


def traits_of(face: Face) -> Traits:
    assert face.traits is not None
    return face.traits


def value(rated: Rated | None) -> bool:
    assert rated is not None
    assert 50 <= rated.confidence <= 100
    return rated.value


@pytest.mark.testdata
@pytest.mark.parametrize(
    ("name", "emotion"), [("anger.png", "ANGRY"), ("sad.png", "SAD"), ("happy.png", "HAPPY")]
)
def test_an_emotion_is_the_first_that_is_named(
    detailed: FaceEngine, testdata: Path, name: str, emotion: str
) -> None:
    """How emotions.py cuts a face was chosen with these very photos at hand: they show that it
    still does what it did, and not how often it is right on others."""
    emotions = traits_of(faces_of(detailed, photo(testdata, name))[0]).emotions
    assert emotions[0][0] == emotion
    assert sum(sure for _, sure in emotions) == pytest.approx(100, abs=0.01)


@pytest.mark.testdata
def test_open_and_closed_eyes_are_told_apart(detailed: FaceEngine, testdata: Path) -> None:
    """These photos, too, were at hand when the boundaries of expressions.py were chosen."""
    for name, are_open in (("open_eyes.png", True), ("close_eyes.jpeg", False)):
        (face,) = faces_of(detailed, photo(testdata, name))
        assert value(traits_of(face).eyes_open) is are_open, name


@pytest.mark.testdata
def test_a_smile_is_one_and_a_stern_face_is_none(detailed: FaceEngine, testdata: Path) -> None:
    for name, smiles in (("happy.png", True), ("anger.png", False), ("sad.png", False)):
        (face,) = faces_of(detailed, photo(testdata, name))
        assert value(traits_of(face).smile) is smiles, name


@pytest.mark.testdata
def test_glasses_are_seen_on_who_wears_them(detailed: FaceEngine, testdata: Path) -> None:
    """Clear cases only; docs/stored-video.md says how often the network errs on others."""
    wears = testdata / "lfw" / "gallery" / "John_Bolton" / "John_Bolton_0001.jpg"
    assert value(traits_of(faces_of(detailed, read(wears))[0]).eyeglasses)
    for name in ("anger.png", "sad.png", "open_eyes.png"):
        (face,) = faces_of(detailed, photo(testdata, name))
        assert not value(traits_of(face).eyeglasses), name


@pytest.mark.testdata
def test_nearly_everyone_is_photographed_with_open_eyes(
    detailed: FaceEngine, testdata: Path
) -> None:
    pictures = sorted(testdata.glob("lfw/gallery/*/*_0002.jpg"))[::3]
    faces = [faces_of(detailed, read(path))[0] for path in pictures]
    assert len(faces) == 20
    seen = [traits_of(face).eyes_open for face in faces]
    assert sum(rated is not None and rated.value for rated in seen) >= 19


@pytest.mark.testdata
def test_landmarks_lie_in_order_and_on_the_face(
    mbf_engine: FaceEngine, detailed: FaceEngine, astronaut: Image, six_people: Image
) -> None:
    for image, near in ((astronaut, 0.03), (six_people, 0.09)):
        height, width = image.shape[:2]
        found = mbf_engine.analyse([image], embeddings=False)[0]
        for face, before in zip(faces_of(detailed, image), found, strict=True):
            marks = {mark.type: mark for mark in face.landmarks}
            assert tuple(marks) == ALL_LANDMARKS
            assert face.pose is not None
            if abs(face.pose.yaw) < 30:  # two look aside, which hides the end of a brow
                assert_upright_order({name: (mark.x, mark.y) for name, mark in marks.items()})
            box = face.box
            for name in set(marks) - {"chinBottom"}:
                assert -0.1 < (marks[name].x - box.left) / box.width < 1.1, name
                assert 0 < (marks[name].y - box.top) / box.height < 1, name
            side = max(box.width * width, box.height * height)
            for mark in before.landmarks:
                assert mark.type in FIVE
                off = np.hypot(
                    (mark.x - marks[mark.type].x) * width, (mark.y - marks[mark.type].y) * height
                )
                assert off < near * side, mark.type


LEFT_TO_RIGHT: tuple[tuple[str, ...], ...] = (
    ("leftEyeBrowLeft", "leftEyeBrowUp", "leftEyeBrowRight"),
    ("leftEyeBrowRight", "rightEyeBrowLeft", "rightEyeBrowUp", "rightEyeBrowRight"),
    ("leftEyeLeft", "leftPupil", "leftEyeRight"),
    ("leftEyeRight", "rightEyeLeft", "rightPupil", "rightEyeRight"),
    ("eyeLeft", "eyeRight"),
    ("noseLeft", "noseRight"),
    ("mouthLeft", "mouthUp", "mouthRight"),
    ("midJawlineLeft", "chinBottom", "midJawlineRight"),
    ("upperJawlineLeft", "upperJawlineRight"),
)
TOP_TO_BOTTOM: tuple[tuple[str, ...], ...] = (
    ("leftEyeBrowUp", "leftEyeUp", "leftEyeDown", "noseLeft", "mouthLeft"),
    ("rightEyeBrowUp", "rightEyeUp", "rightEyeDown", "noseRight", "mouthRight"),
    ("nose", "mouthUp", "mouthDown", "chinBottom"),
    ("upperJawlineLeft", "midJawlineLeft", "chinBottom"),
    ("upperJawlineRight", "midJawlineRight", "chinBottom"),
)


def assert_upright_order(marks: dict[str, tuple[float, float]]) -> None:
    for line in LEFT_TO_RIGHT:
        across = [marks[name][0] for name in line]
        assert across == sorted(across), line
    for line in TOP_TO_BOTTOM:
        down = [marks[name][1] for name in line]
        assert down == sorted(down), line


@pytest.mark.testdata
def test_left_is_the_viewer_s_left_so_a_mirrored_face_swaps_sides(
    detailed: FaceEngine, astronaut: Image
) -> None:
    (face,) = faces_of(detailed, astronaut)
    (mirrored,) = faces_of(detailed, np.ascontiguousarray(astronaut[:, ::-1]))
    marks = {mark.type: mark.x for mark in face.landmarks}
    swapped = {mark.type: 1 - mark.x for mark in mirrored.landmarks}
    for one, other in (("eyeLeft", "eyeRight"), ("mouthLeft", "mouthRight")):
        assert marks[one] == pytest.approx(swapped[other], abs=0.01)
    assert marks["leftEyeBrowLeft"] == pytest.approx(swapped["rightEyeBrowRight"], abs=0.01)
    assert marks["midJawlineLeft"] == pytest.approx(swapped["midJawlineRight"], abs=0.01)


@pytest.mark.testdata
@pytest.mark.parametrize("angle", [-45, 30, 60])
def test_what_a_face_shows_does_not_depend_on_how_the_head_is_held(
    detailed: FaceEngine, astronaut: Image, angle: int
) -> None:
    turn = cv2.getRotationMatrix2D((256, 256), -angle, 0.8)
    turned: Image = cv2.warpAffine(astronaut, turn, (512, 512))  # type: ignore[assignment]
    traits = traits_of(faces_of(detailed, turned)[0])
    assert value(traits.smile)
    assert value(traits.eyes_open)
    assert traits.emotions[0][0] == "HAPPY"


@pytest.mark.testdata
def test_half_a_face_and_a_masked_one_are_measured_without_trouble(
    detailed: FaceEngine, testdata: Path, astronaut: Image
) -> None:
    (half,) = faces_of(detailed, np.ascontiguousarray(astronaut[:, :225]))
    (masked,) = faces_of(detailed, photo(testdata, "mask2.jpg"))
    for face in (half, masked):
        assert len(face.landmarks) == 30
        assert value(traits_of(face).eyes_open)


@pytest.mark.testdata
def test_what_is_no_face_has_no_mesh(attributes: FaceAttributes, astronaut: Image) -> None:
    shuttle = Face(BoundingBox(0.55, 0.1, 0.25, 0.3), 50.0)
    assert attributes.measure(astronaut, shuttle).landmarks == ()


@pytest.mark.testdata
def test_threads_do_not_disturb_each_other(
    attributes: FaceAttributes, mbf_engine: FaceEngine, six_people: Image
) -> None:
    faces = mbf_engine.analyse([six_people], embeddings=False)[0]
    alone = [attributes.measure(six_people, face) for face in faces]
    with ThreadPoolExecutor(4) as threads:
        together = list(
            threads.map(lambda face: attributes.measure(six_people, face), [*faces, *faces])
        )
    assert [face.traits for face in together] == [face.traits for face in [*alone, *alone]]
