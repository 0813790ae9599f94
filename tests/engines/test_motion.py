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
    (region,) = regions_of(changed, SHAPE) or []
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
    (region,) = regions_of(looked.changed(now), SHAPE) or []
    assert holds(region, 900, 400, 980, 480)
    assert regions_of(looked.changed(scene_of(first)), SHAPE) != []


def test_a_picture_of_another_shape_has_changed_everywhere() -> None:
    assert scene_of(room()).changed(scene_of(np.zeros((360, 640, 3), np.uint8))).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4000, 3), (40, 40, 3), (2160, 3840, 3)])
def test_any_picture_has_a_scene(shape: tuple[int, int, int]) -> None:
    black, white = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    assert scene_of(black).changed(scene_of(white)).all()
    assert not scene_of(black).changed(scene_of(black)).any()


def test_regions_are_one_where_that_costs_no_more() -> None:
    apart = [(0.0, 0.0, 40.0, 40.0), (900.0, 0.0, 940.0, 40.0)]
    assert joined(apart, SHAPE) == apart
    near = [(0.0, 0.0, 40.0, 40.0), (150.0, 0.0, 190.0, 40.0)]
    assert joined(near, SHAPE) == [(0.0, 0.0, 190.0, 40.0)]
    crosswise = [(0.0, 0.0, 1000.0, 40.0), (0.0, 30.0, 40.0, 700.0)]
    assert joined(crosswise, SHAPE) == crosswise


def test_a_crowd_of_small_changes_side_by_side_is_one_region() -> None:
    image = room()
    for at in range(8):
        image = with_square(image, 400 + 56 * (at % 4), 200 + 56 * (at // 4), 24)
    regions = regions_of(scene_of(room()).changed(scene_of(image)), SHAPE)
    assert regions is not None
    (region,) = regions
    assert holds(region, 400, 200, 592, 280)


def test_what_changed_in_very_many_places_changed_everywhere() -> None:
    image = room()
    for left in range(40, 1240, 100):
        for top in range(40, 680, 100):
            image = with_square(image, left, top, 24)
    assert regions_of(scene_of(room()).changed(scene_of(image)), SHAPE) is None


def test_one_cell_is_the_codecs_until_another_changes_beside_it() -> None:
    scene = scene_of(room())
    assert regions_of(scene.changed(scene_of(with_square(room(), 400, 200, 8))), SHAPE) == []
    both = with_square(with_square(room(), 400, 200, 8), 416, 200, 8)
    assert len(regions_of(scene.changed(scene_of(both)), SHAPE) or []) == 1


def test_in_the_dark_less_is_a_change() -> None:
    def is_seen(level: int, by: int) -> bool:
        then, now = room(level), with_square(room(level), 400, 200, 80, level + by)
        return bool(scene_of(then).changed(scene_of(now)).any())

    assert not is_seen(90, 8)
    assert is_seen(25, 8)
    assert not is_seen(25, 5)


def test_a_region_grows_by_every_box_it_touches_one_after_the_other() -> None:
    boxes = [(20.0, 0.0, 40.0, 10.0), (8.0, 0.0, 22.0, 10.0), (70.0, 0.0, 80.0, 10.0)]
    assert grown_to_hold([(0.0, 0.0, 10.0, 10.0)], boxes, SHAPE) == [(0.0, 0.0, 40.0, 10.0)]


def test_only_what_is_clearly_smaller_than_the_picture_is_looked_at_by_itself() -> None:
    assert is_worth_it([], SHAPE)
    assert is_worth_it([(100.0, 100.0, 300.0, 300.0)], SHAPE)
    assert not is_worth_it([(0.0, 0.0, 900.0, 600.0)], SHAPE)
    assert not is_worth_it([(i * 100.0, 0.0, i * 100.0 + 20, 20.0) for i in range(9)], SHAPE)
