"""A camera's pictures: only what changed is computed again, and no name on another's face."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamproc.engines.base import FaceEngine, Sighting
from streamproc.engines.fake import PERSONS, FakeEngine
from streamproc.engines.live import LiveView
from streamproc.model.face import Edges, Embedding, Face
from streamproc.model.media import Image
from tests.engines.painted import CountingEngine, empty_room, picture_of, portray

STEP_S = 0.2


class Camera:
    """A view with its engine, shown one picture after the other, five a second."""

    def __init__(self, engine: FaceEngine | None = None) -> None:
        self.counts = CountingEngine()
        self.view = LiveView()
        self.now_s = 100.0
        self._engine = engine or self.counts

    def show(self, image: Image, after_s: float = STEP_S) -> list[Face]:
        self.now_s += after_s
        return self.view.analyse(self._engine, image, self.now_s)


class Shortsighted(CountingEngine):
    """Sees large faces only where it looks at the whole picture."""

    def find(self, image: Image, *, region: Edges | None = None) -> list[Sighting]:
        found = super().find(image, region=region)
        return found if region is None else [one for one in found if one.area < 80 * 80]


def who(faces: Sequence[Face]) -> list[int]:
    """The people from left to right. Nobody's embedding is mixed with another's."""
    ordered = sorted(faces, key=lambda face: face.box.left)
    vectors = [face.embedding for face in ordered]
    assert all(vector is not None and vector.max() > 0.999 for vector in vectors)
    return [int(np.argmax(vector)) for vector in vectors if vector is not None]


def grainy(image: Image, turn: int) -> Image:
    grain = np.random.default_rng(7).normal(0, 3, image.shape)
    return np.clip(image + np.roll(grain, 17 * turn, axis=1), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("first", range(PERSONS))
def test_a_person_replaced_in_place_never_lends_a_name_not_for_one_record(first: int) -> None:
    for second in {(first + step) % PERSONS for step in (1, 2, 7, 8, 15)}:
        camera = Camera()
        for person in (first, first, first, second, second, first, second):
            assert who(camera.show(picture_of((person, 200, 100)))) == [person]


def test_a_person_replaced_in_place_after_a_long_time_never_lends_a_name() -> None:
    camera = Camera()
    for _ in range(150):
        assert who(camera.show(picture_of((4, 200, 100)))) == [4]
    assert who(camera.show(picture_of((5, 200, 100)))) == [5]


def test_people_who_look_plain_are_embedded_each_time() -> None:
    rng = np.random.default_rng(7)
    camera = Camera()
    for person in rng.integers(0, PERSONS, 40).tolist():
        image = empty_room()
        FakeEngine.paint(image, person, 200, 100, 64)
        assert who(camera.show(image)) == [person]
    assert camera.counts.embedded == 40


def test_people_who_change_places_keep_their_own_names() -> None:
    camera = Camera()
    for turn in range(20):
        left, right = (2, 9) if turn % 2 else (9, 2)
        assert who(camera.show(picture_of((left, 150, 100), (right, 300, 100)))) == [left, right]


def test_people_who_cross_keep_their_own_names() -> None:
    camera = Camera()
    for step in range(21):
        x = 40 + 20 * step
        people = [(2, x, 120), (9, 440 - 20 * step, 120)]
        if abs(people[0][1] - people[1][1]) < 70:
            people = people[:1]  # she walks in front of him
        expected = [person for person, _, _ in sorted(people, key=lambda one: one[1])]
        assert who(camera.show(picture_of(*people))) == expected


def test_a_still_picture_is_looked_at_once_a_second_and_its_face_embedded_ever_less() -> None:
    camera = Camera()
    for turn in range(100):
        assert who(camera.show(grainy(picture_of((6, 200, 100)), turn))) == [6]
    assert set(camera.counts.regions) == {None}
    assert len(camera.counts.regions) == 20
    assert camera.counts.embedded <= 8  # at 0, 1, 3, 7, 11 and so on


def test_a_face_that_stands_is_cut_out_once_for_a_picture() -> None:
    class Cutting(CountingEngine):
        cut = 0

        def crop(self, image: Image, sighting: Sighting) -> Image:
            self.cut += 1
            return super().crop(image, sighting)

    engine = Cutting()
    camera = Camera(engine)
    for turn in range(5):
        camera.show(grainy(picture_of((6, 200, 100)), turn))
    assert engine.cut == 5


def test_what_moves_is_looked_at_where_it_moves_and_described_where_it_is() -> None:
    camera = Camera()
    for step in range(20):
        left = 100 + 6 * step
        moving, still = sorted(
            camera.show(picture_of((3, left, 40), (8, 480, 250))), key=lambda face: face.box.left
        )
        assert who([moving, still]) == [3, 8]
        assert moving.box.left * 640 == pytest.approx(left)
        assert still.box.left * 640 == pytest.approx(480)
        assert moving.landmarks[0].x * 640 == pytest.approx(left + 0.3 * 64)
    regions = [region for region in camera.counts.regions if region is not None]
    assert len(regions) == 16
    assert all(right - left < 220 for left, _, right, _ in regions)
    assert camera.counts.embedded < 12


def test_who_comes_is_seen_at_once_and_who_left_is_gone_at_once() -> None:
    camera = Camera()
    camera.show(empty_room())
    assert who(camera.show(picture_of((1, 60, 60)))) == [1]
    assert who(camera.show(picture_of((1, 60, 60), (7, 400, 200)))) == [1, 7]
    assert who(camera.show(picture_of((7, 400, 200)))) == [7]
    assert camera.show(empty_room()) == []
    assert who(camera.show(picture_of((1, 400, 200)))) == [1]


def test_somebody_behind_whom_the_light_fades_keeps_a_name() -> None:
    camera = Camera()
    bright = picture_of((5, 200, 100))
    for step in range(40):
        faded = (bright * (1 - 0.008 * step)).astype(np.uint8)
        (face,) = camera.show(faded)
        assert who([face]) == [5]
        (own,) = FakeEngine().analyse([faded])[0]
        assert own.quality is not None
        assert face.quality is not None
        assert face.quality.brightness == pytest.approx(own.quality.brightness, abs=3.0)


def test_after_a_gap_or_a_step_back_everything_is_looked_at_and_embedded_again() -> None:
    camera = Camera()
    for after_s in (STEP_S, 10.0, -5.0):
        camera.show(picture_of((5, 200, 100)), after_s)
    assert camera.counts.regions == [None, None, None]
    assert camera.counts.embedded == 3


def test_a_camera_that_changes_its_resolution_goes_on() -> None:
    camera = Camera()
    camera.show(picture_of((5, 200, 100)))
    image = empty_room(720, 1280)
    portray(image, 6, 400, 200, 128)
    assert who(camera.show(image)) == [6]


def test_a_picture_whose_analysis_failed_can_be_tried_again() -> None:
    class Fragile(CountingEngine):
        is_broken = False

        def embed(self, crops: Sequence[Image]) -> list[Embedding]:
            if self.is_broken:
                raise MemoryError("bad allocation")
            return super().embed(crops)

    engine = Fragile()
    camera = Camera(engine)
    camera.show(picture_of((5, 200, 100)))
    engine.is_broken = True
    for _ in range(3):
        with pytest.raises(MemoryError):
            camera.show(picture_of((6, 200, 100)), 0.0)
    engine.is_broken = False
    assert who(camera.show(picture_of((6, 200, 100)), 0.0)) == [6]


def test_a_face_that_only_a_whole_look_finds_is_in_every_record_while_it_moves() -> None:
    camera = Camera(Shortsighted())
    for step in range(15):
        image = picture_of((3, 60 + 6 * step, 40))
        portray(image, 8, 420 + 4 * step, 200, 90)
        assert who(camera.show(image)) == [3, 8]


def test_whoever_comes_in_does_not_hide_one_that_only_a_whole_look_finds() -> None:
    camera = Camera(Shortsighted())
    for step in range(6):
        image = empty_room()
        portray(image, 8, 420 + 4 * step, 200, 90)
        if step >= 2:
            portray(image, 3, 60 + 6 * step, 40, 64)
        assert who(camera.show(image)) == ([3, 8] if step >= 2 else [8])


def test_whoever_was_out_of_sight_is_embedded_again() -> None:
    camera = Camera()
    for image in (picture_of((5, 200, 100)), empty_room(), picture_of((5, 200, 100))):
        camera.show(image)
    assert camera.counts.embedded == 2


def test_a_region_that_cannot_be_looked_at_does_not_stop_a_camera() -> None:
    class Narrow(CountingEngine):
        def find(self, image: Image, *, region: Edges | None = None) -> list[Sighting]:
            if region is not None:
                raise RuntimeError("no kernel for this shape")
            return super().find(image, region=region)

    camera = Camera(Narrow())
    camera.show(picture_of((5, 200, 100)))
    with pytest.raises(RuntimeError):
        camera.show(picture_of((5, 206, 100)))
    assert who(camera.show(picture_of((5, 206, 100)), 0.0)) == [5]


def test_an_engine_that_gains_nothing_by_regions_is_asked_once_for_a_picture() -> None:
    class Whole(CountingEngine):
        looks_at_regions = False

    engine = Whole()
    camera = Camera(engine)
    for step in range(10):
        camera.show(picture_of((3, 60 + 6 * step, 40), (8, 480 - 6 * step, 250)))
    assert engine.regions == [None] * 10


def test_faces_come_largest_first_wherever_they_were_found() -> None:
    camera = Camera()
    for step in range(4):
        image = picture_of((3, 100 + 6 * step, 40))
        portray(image, 8, 450, 200, 120)
        assert [round(face.box.width * 640) for face in camera.show(image)] == [120, 64]


def test_real_people_cut_into_each_others_place_keep_to_themselves(
    testdata: Path, mbf_engine: FaceEngine
) -> None:
    camera = Camera(mbf_engine)
    for folder in sorted((testdata / "lfw" / "gallery").iterdir())[:24]:
        image = np.full((360, 640, 3), 120, np.uint8)
        photo = cv2.imread(str(sorted(folder.iterdir())[0]))
        assert photo is not None
        image[50:300, 200:450] = photo
        own, carried = mbf_engine.analyse([image])[0], camera.show(image)
        assert len(own) == len(carried)
        for one, other in zip(own, carried, strict=True):
            assert one.embedding is not None
            assert other.embedding is not None
            assert float(one.embedding @ other.embedding) > 0.99
