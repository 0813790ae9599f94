"""Whose embedding a face may carry: its own track's, and only while there is no doubt."""

from dataclasses import replace

import numpy as np
import pytest

from streamproc.engines.fake import FakeEngine
from streamproc.engines.tracks import (
    VIEWS_MAX,
    Look,
    Seen,
    Track,
    View,
    alike,
    follow,
    is_blurred,
    lenders,
    look_of,
    quality_of,
)
from streamproc.model.face import BoundingBox, Edges, Embedding, Face, Pose, Quality
from streamproc.model.media import Image
from tests.engines.painted import picture_of

PLACE = (100.0, 100.0, 160.0, 160.0)
ELSEWHERE = (400.0, 100.0, 460.0, 160.0)
SAME_PERSON = 0.5


def cut_out(person: int) -> Image:
    return picture_of((person, 0, 0))[:64, :64]


def look(person: int) -> Look:
    return look_of(cut_out(person))


def vector(person: int, towards: int = 15, share: float = 0.0) -> Embedding:
    """A person's direction, turned towards another one's."""
    unit = np.eye(16, dtype=np.float32)
    turned = (1 - share) * unit[person] + share * unit[towards]
    return turned / np.linalg.norm(turned)  # type: ignore[no-any-return]


def track(person: int, box: Edges = PLACE) -> Track:
    return Track(box, (View(look(person), vector(person), 0.5),), seen_s=0.0, embedded_s=0.0)


def seen(person: int, box: Edges = PLACE, quality: float = 0.5) -> Seen:
    return Seen(box, look(person), quality)


def test_different_people_do_not_look_alike() -> None:
    looks = [look(person) for person in range(16)]
    for at, one in enumerate(looks):
        assert alike(one, one)
        assert not any(alike(one, other) for other in looks[:at])


def test_a_look_is_the_same_in_any_light_and_a_pixel_beside() -> None:
    one = cut_out(3)
    darker = (one * 0.6 + 10).astype(np.uint8)
    assert alike(look_of(one), look_of(darker))
    assert alike(look_of(one), look_of(np.roll(one, 2, axis=1)))


def test_nobody_is_alike_who_has_no_features() -> None:
    plain = look_of(np.full((64, 64, 3), 130, np.uint8))
    assert not alike(plain, plain)
    assert not alike(plain, look(3))


def test_a_face_that_goes_on_borrows_its_tracks_embedding() -> None:
    own = track(3)
    assert lenders([own], [seen(3)], 0.2) == [own]


@pytest.mark.parametrize(
    ("what", "face", "now_s"),
    [
        ("looks different", seen(4), 0.2),
        ("is elsewhere", seen(3, ELSEWHERE), 0.2),
        ("moved by its width", seen(3, (160.0, 100.0, 220.0, 160.0)), 0.2),
        ("is seen much better", seen(3, quality=0.9), 0.2),
        ("was embedded once, a while ago", seen(3), 0.4),
    ],
)
def test_a_face_in_doubt_is_embedded(what: str, face: Seen, now_s: float) -> None:
    assert lenders([track(3)], [face], now_s) == [None], what


def test_faces_that_come_near_each_other_are_embedded() -> None:
    beside = (140.0, 100.0, 200.0, 160.0)
    assert lenders([track(3), track(4, beside)], [seen(3)], 0.2) == [None]
    assert lenders([track(3)], [seen(3), seen(3, beside)], 0.2) == [None, None]


def test_an_embedding_that_agrees_goes_on_with_its_track_and_counts_by_its_quality() -> None:
    own, face = track(3), seen(3, quality=1.5)
    new = vector(3, towards=5, share=0.3)
    (after,), (carried,) = follow([own], [face], [None], [new], 0.2, SAME_PERSON)
    assert [view.quality for view in after.views] == [0.5, 1.5]
    mean = 0.5 * vector(3) + 1.5 * new
    assert carried == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_an_embedding_that_disagrees_is_another_person_at_once_whatever_was_before() -> None:
    own = track(3)
    for at in range(10):
        own = own.confirmed(PLACE, View(look(3), vector(3), 1.0), 0.2 * at)
    tracks, (carried,) = follow([own], [seen(4)], [None], [vector(4)], 2.2, SAME_PERSON)
    assert carried == pytest.approx(vector(4))
    assert [len(one.views) for one in tracks] == [1, VIEWS_MAX]


def test_who_was_hidden_goes_on_with_the_own_track_and_not_with_the_one_in_its_place() -> None:
    first, second = track(3), track(4, ELSEWHERE)
    crossed = [seen(4), seen(3, ELSEWHERE)]
    tracks, carried = follow(
        [first, second], crossed, [None, None], [vector(4), vector(3)], 0.4, SAME_PERSON
    )
    assert [one.box for one in tracks] == [PLACE, ELSEWHERE]
    assert carried[0] == pytest.approx(vector(4))
    assert carried[1] == pytest.approx(vector(3))
    assert all(len(one.views) == 2 for one in tracks)


def test_a_vector_that_only_resembles_the_mean_of_others_is_another_person() -> None:
    mixed = track(3)
    for at, person in enumerate((4, 5)):
        mixed = mixed.confirmed(PLACE, View(look(3), vector(person), 0.5), 0.2 * at)
    between = sum(vector(person) for person in (3, 4, 5)) / np.sqrt(3)
    assert float(mixed.embedding @ between) > 0.9
    tracks, (carried,) = follow([mixed], [seen(3)], [None], [between], 0.4, 0.6)
    assert carried == pytest.approx(between)
    assert [len(one.views) for one in tracks] == [1, 3]


def test_a_blurred_face_keeps_to_itself_and_nobody_joins_it() -> None:
    blurred = replace(seen(3), is_blurred=True)
    tracks, (carried,) = follow([track(3)], [blurred], [None], [vector(3)], 0.2, SAME_PERSON)
    assert [len(one.views) for one in tracks] == [1, 1]
    assert carried == pytest.approx(vector(3))
    (own,) = tracks[:1]
    assert lenders([own], [blurred], 0.4) == [own]
    (after,), _ = follow([own], [seen(3)], [None], [vector(3)], 0.6, SAME_PERSON)
    assert [view.is_blurred for view in after.views] == [False]


def test_a_face_is_blurred_where_little_of_it_is_to_be_seen() -> None:
    box = BoundingBox(0.1, 0.1, 0.1, 0.1)
    assert is_blurred(Face(box, 99.0, quality=Quality(50, 5)))
    assert not is_blurred(Face(box, 99.0, quality=Quality(50, 20)))
    assert not is_blurred(Face(box, 99.0))


def test_a_crowd_that_leaves_is_not_all_remembered() -> None:
    gone = [replace(track(at % 16), seen_s=0.001 * at) for at in range(500)]
    tracks, _ = follow(gone, [], [], [], 1.0, SAME_PERSON)
    assert tracks == gone[-len(tracks) :]
    assert 0 < len(tracks) <= 50


def test_one_track_is_not_shared_by_two_faces() -> None:
    own = track(3)
    tracks, _ = follow(
        [own], [seen(3), seen(3, ELSEWHERE)], [own, None], [vector(3)], 0.2, SAME_PERSON
    )
    assert [len(one.views) for one in tracks] == [1, 1]


def test_who_is_not_seen_is_remembered_for_a_while_and_then_forgotten() -> None:
    own = track(3)
    assert follow([own], [], [], [], 1.9, SAME_PERSON) == ([own], [])
    assert follow([own], [], [], [], 2.1, SAME_PERSON) == ([], [])


def test_a_track_keeps_its_best_views_and_the_latest() -> None:
    own = track(3)
    for at, quality in enumerate((0.9, 0.2, 0.7, 0.8, 0.6, 0.1)):
        own = own.confirmed(PLACE, View(look(3), vector(3), quality), 0.2 * at)
    assert sorted(view.quality for view in own.views) == [0.1, 0.6, 0.7, 0.8, 0.9]
    assert own.views[-1].quality == 0.1


def test_a_track_that_agrees_is_embedded_ever_less_but_never_left_alone() -> None:
    own, now_s, embedded = track(3), 0.0, 0
    for _ in range(300):
        now_s += 0.2
        if lenders([own], [seen(3)], now_s) == [None]:
            embedded += 1
            own = own.confirmed(PLACE, View(look(3), vector(3), 0.5), now_s)
    assert 16 <= embedded <= 19  # soon after the first time, and every 4 s from then on


def test_a_large_sharp_face_that_looks_here_is_a_better_view() -> None:
    box = BoundingBox(0.1, 0.1, 0.1, 0.1)
    best = Face(box, 99.0, pose=Pose(0, 0, 0), quality=Quality(50, 80))
    assert quality_of(best, 112.0) == quality_of(best, 300.0)
    poorer = [
        (best, 40.0),
        (replace(best, confidence=60.0), 112.0),
        (replace(best, pose=Pose(0, 0, 50)), 112.0),
        (replace(best, quality=Quality(50, 20)), 112.0),
    ]
    assert all(0 < quality_of(face, side) < quality_of(best, 112.0) for face, side in poorer)
    assert quality_of(Face(box, 99.0), 112.0) > 0


def test_a_crop_of_the_fake_engine_has_a_look() -> None:
    engine = FakeEngine()
    image = picture_of((3, 100, 100), (4, 300, 100))
    three, four = (look_of(engine.crop(image, one)) for one in engine.find(image))
    assert not alike(three, four)
