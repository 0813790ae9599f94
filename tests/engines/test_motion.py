"""Where a picture changed since it was looked at: noise is not a change, a creeping one is."""

import numpy as np
import pytest

from streamproc.engines.motion import grown_to_hold, is_worth_it, joined, regions_of, scene_of
from streamproc.model.face import Edges
from streamproc.model.media import Image

SHAPE = (720, 1280, 3)


def room(level: int = 90) -> Image:
    return np.full(SHAPE, level, np.uint8)


def with_square(image: Image, left: int, top: int, side: int, level: int = 200) -> Image:
    changed = image.copy()
    changed[top : top + side, left : left + side] = level
    return changed


def holds(region: Edges, left: float, top: float, right: float, bottom: float) -> bool:
    return region[0] <= left and region[1] <= top and region[2] >= right and region[3] >= bottom


@pytest.mark.parametrize(("left", "top", "side"), [(300, 200, 24), (0, 0, 60), (1200, 640, 80)])
def test_what_appears_lies_in_a_region_hardly_larger(left: int, top: int, side: int) -> None:
    changed = scene_of(room()).changed(scene_of(with_square(room(), left, top, side)))
    (region,) = regions_of(changed, SHAPE)
    assert holds(region, left, top, left + side, top + side)
    assert region[2] - region[0] <= side + 64
    assert region[3] - region[1] <= side + 64


def test_a_still_picture_with_grain_has_not_changed() -> None:
    rng = np.random.default_rng(3)
    scene = scene_of(room())
    for _ in range(20):
        grain = rng.normal(0, 6, SHAPE)
        now = scene_of(np.clip(room() + grain, 0, 255).astype(np.uint8))
        assert regions_of(scene.changed(now), SHAPE) == []


def test_light_that_creeps_is_seen_once_it_added_up() -> None:
    scene = scene_of(room(90))
    changed = [scene.changed(scene_of(room(level))).any() for level in range(91, 110, 3)]
    assert not changed[0]
    assert changed[-1]


def test_what_was_looked_at_is_compared_with_what_was_there_then() -> None:
    first, second = room(), with_square(with_square(room(), 100, 100, 80), 900, 400, 80)
    scene, now = scene_of(first), scene_of(second)
    looked = scene.with_looked(now, [(60.0, 60.0, 220.0, 220.0)])
    (region,) = regions_of(looked.changed(now), SHAPE)
    assert holds(region, 900, 400, 980, 480)
    assert regions_of(looked.changed(scene_of(first)), SHAPE) != []


def test_a_picture_of_another_shape_has_changed_everywhere() -> None:
    assert scene_of(room()).changed(scene_of(np.zeros((360, 640, 3), np.uint8))).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4000, 3), (40, 40, 3), (2160, 3840, 3)])
def test_any_picture_has_a_scene(shape: tuple[int, int, int]) -> None:
    black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    assert scene_of(black).changed(scene_of(white)).all()
    assert not scene_of(black).changed(scene_of(black)).any()


def test_regions_that_overlap_are_one() -> None:
    apart = [(0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)]
    assert joined(apart) == apart
    assert joined([*apart, (5.0, 5.0, 55.0, 8.0)]) == [(0.0, 0.0, 60.0, 10.0)]


def test_a_region_grows_by_every_box_it_touches_one_after_the_other() -> None:
    boxes = [(20.0, 0.0, 40.0, 10.0), (8.0, 0.0, 22.0, 10.0), (70.0, 0.0, 80.0, 10.0)]
    assert grown_to_hold([(0.0, 0.0, 10.0, 10.0)], boxes) == [(0.0, 0.0, 40.0, 10.0)]


def test_only_what_is_clearly_smaller_than_the_picture_is_looked_at_by_itself() -> None:
    assert is_worth_it([], SHAPE)
    assert is_worth_it([(100.0, 100.0, 300.0, 300.0)], SHAPE)
    assert not is_worth_it([(0.0, 0.0, 900.0, 600.0)], SHAPE)
    assert not is_worth_it([(i * 100.0, 0.0, i * 100.0 + 20, 20.0) for i in range(9)], SHAPE)
