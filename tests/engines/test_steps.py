"""Whoever takes an engine's steps one by one gets what analyse() gives, of every engine."""

from pathlib import Path

import numpy as np
import pytest

from streamproc.engines.base import FaceEngine, Sighting
from streamproc.engines.detailed import DetailedEngine
from streamproc.engines.face_attributes import FaceAttributes
from streamproc.engines.fake import FakeEngine
from streamproc.engines.load import load_engine
from streamproc.model.face import Edges
from streamproc.model.media import Image
from streamproc.settings import EngineConfig

Case = tuple[FaceEngine, Image]


def painted() -> Image:
    image = np.full((720, 1280, 3), 110, np.uint8)
    for person, (left, top, size) in enumerate([(100, 80, 90), (700, 300, 120), (900, 500, 40)]):
        FakeEngine.paint(image, person, left, top, size)
    return image


def patched() -> Image:
    """Twice what the toy detector sees at 640, so that regions are scaled too."""
    image = np.full((768, 1280, 3), 20, np.uint8)
    for left, top in ((128, 64), (640, 320), (1024, 576)):
        image[top : top + 64, left : left + 64] = 255
    return image


@pytest.fixture(params=["fake", "toy", "dlib", "detailed", "mbf"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """An engine, and a picture in which it finds three faces or more."""
    if request.param == "fake":
        return FakeEngine(), painted()
    if request.param == "detailed":
        nothing_installed = FaceAttributes(tmp_path, ["CPUExecutionProvider"], 1)
        return DetailedEngine(FakeEngine(), nothing_installed), painted()
    if request.param == "toy":
        pack = request.getfixturevalue("toy_pack")
        return load_engine(EngineConfig(pack=str(pack), detection_sizes=[640])), patched()
    return request.getfixturevalue(f"{request.param}_engine"), request.getfixturevalue("six_people")


def around(one: Sighting, margin: float = 0.0) -> Edges:
    left, top, right, bottom = one.box
    return left - margin, top - margin, right + margin, bottom + margin


def test_analyse_is_its_steps(case: Case) -> None:
    engine, image = case
    (faces,) = engine.analyse([image], attributes=True)
    sightings = engine.find(image)
    assert len(sightings) == len(faces) >= 3
    vectors = engine.embed([engine.crop(image, one) for one in sightings])
    for one, vector, face in zip(sightings, vectors, faces, strict=True):
        again = engine.describe(image, one, vector, attributes=True)
        assert (again.box, again.pose, again.quality) == (face.box, face.pose, face.quality)
        assert (again.confidence, again.landmarks) == (face.confidence, face.landmarks)
        assert (again.age, again.gender, again.traits) == (face.age, face.gender, face.traits)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert face.embedding is not None
        assert float(vector @ face.embedding) == pytest.approx(1, abs=1e-5)


def test_what_is_found_comes_largest_first_with_five_points_in_its_box(case: Case) -> None:
    engine, image = case
    sightings = engine.find(image)
    areas = [one.area for one in sightings]
    assert areas == sorted(areas, reverse=True)
    for one in sightings:
        assert one.points.shape == (5, 2)
        assert one.points.dtype == np.float32
        left, top, right, bottom = around(one, margin=3)
        assert ((one.points >= (left, top)) & (one.points <= (right, bottom))).all()


def test_crops_have_one_shape(case: Case) -> None:
    engine, image = case
    shapes = {engine.crop(image, one).shape for one in engine.find(image)}
    assert len(shapes) == 1


def test_no_crops_have_no_embeddings(case: Case) -> None:
    assert case[0].embed([]) == []


def test_a_face_without_embedding_is_described_as_well(case: Case) -> None:
    engine, image = case
    face = engine.describe(image, engine.find(image)[0], None)
    assert face.embedding is None
    assert face.quality is not None


def test_in_a_region_the_faces_that_touch_it_are_found_as_in_the_whole(case: Case) -> None:
    engine, image = case
    whole = engine.find(image)
    for one in whole:
        near = engine.find(image, region=around(one))
        same = min(near, key=lambda other: np.abs(np.subtract(other.box, one.box)).max())
        # The detector sees a little less around it than in the whole picture.
        assert same.box == pytest.approx(one.box, abs=0.03 * (one.box[2] - one.box[0]))
        assert len(near) <= len(whole)


def test_a_face_that_reaches_into_a_region_is_found_whole(case: Case) -> None:
    engine, image = case
    for one in engine.find(image):
        left, top, right, bottom = one.box
        corner = (right - 0.2 * (right - left), bottom - 0.2 * (bottom - top), right, bottom)
        found = engine.find(image, region=corner)
        assert any(
            other.box == pytest.approx(one.box, abs=0.05 * (right - left)) for other in found
        )


@pytest.mark.parametrize("region", [(0, 0, 1, 1), (-90, -90, -10, -10), (5000, 0, 5100, 90)])
def test_where_no_face_is_none_is_found(case: Case, region: Edges) -> None:
    engine, image = case
    assert engine.find(image, region=region) == []


def test_a_picture_of_less_than_a_pixel_at_this_size_has_no_face(toy_pack: Path) -> None:
    engine = load_engine(EngineConfig(pack=str(toy_pack)))
    for shape in ((1, 1, 3), (1, 4000, 3), (4000, 1, 3)):
        assert engine.find(np.zeros(shape, np.uint8), region=(0, 0, 50, 50)) == []
