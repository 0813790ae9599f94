"""Exactly one enter and one exit per visit: on clips of which it is known who is where."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from streamproc.cli.demo_video import EILEEN, ENROLLED, SEAT_1, SEAT_6, scene
from streamproc.engines.base import FaceEngine
from streamproc.model.media import Image
from tests.events.labelled import Bar, Clip, Watched, Way, collection_of, watch

EXIT_AFTER_S = 5.0

CLIP = Clip(
    62.0,
    (
        # Comes, turns to another pose three times, is covered for two seconds, leaves.
        Way("alice", 1, 14, 0.1, 0.75, poses=((0, 1), (4, 2), (6, 3), (10, 4))),
        Way("stranger", 12, 24, 0.9, 0.3, poses=((0, 0), (17, 1))),
        # Comes back after twenty seconds, and crosses somebody.
        Way("alice", 34, 48, 0.15, 0.85, 0.45, poses=((0, 5), (38, 2))),
        Way("bob", 36, 50, 0.85, 0.15, 0.55, poses=((0, 1), (45, 3))),
    ),
    (Bar(7.0, 9.5, 0.42, 0.52),),
)


def check(
    watched: Watched,
    expected: Sequence[tuple[str, float, float]],
    *,
    late_s: float = 1.5,
    stranger_late_s: float = 3.0,
) -> None:
    """expected: who is in view from when to when. Nobody else is told of, and nobody twice."""
    visits = watched.visits()
    assert [name for name, _, _ in visits] == [name for name, _, _ in expected], visits
    for (name, enter_s, exit_s), (_, from_s, to_s) in zip(visits, expected, strict=True):
        late = stranger_late_s if name.startswith("unknown-") else late_s
        assert from_s <= enter_s <= from_s + late, (name, enter_s)
        assert exit_s is not None, name
        assert to_s - 1.0 <= exit_s - EXIT_AFTER_S <= to_s + 1.0, (name, exit_s)


async def test_people_who_turn_are_covered_cross_and_come_back(
    mbf: FaceEngine, portraits: Mapping[str, Sequence[Image]], tmp_path: Path
) -> None:
    enrolled = {name: portraits[name][0] for name in ("alice", "bob")}
    async with collection_of(mbf, tmp_path, enrolled) as people:
        watched = await watch(mbf, people, CLIP.frames(portraits))
    check(
        watched,
        [("alice", 1, 14), ("unknown-1", 12, 24), ("alice", 34, 48), ("bob", 36, 50)],
    )


def demo(from_s: float, to_s: float, fps: float = 3.0) -> Iterator[tuple[float, Image]]:
    """The demo's scene; for two seconds a bar covers whoever stands on the left."""
    for number in range(round(from_s * fps), round(to_s * fps)):
        time_s = number / fps
        picture = scene(time_s) if time_s < 20 else scene(0.0)
        if 2.0 <= time_s < 4.0:
            picture = picture.copy()
            picture[:, :430] = (90, 60, 40)
        yield time_s, np.ascontiguousarray(picture)


async def test_the_demos_people_by_an_engine_that_needs_no_test_data(
    dlib: FaceEngine, tmp_path: Path
) -> None:
    enrolled = {person.name: person.portrait() for person in ENROLLED}
    async with collection_of(dlib, tmp_path, enrolled) as people:
        watched = await watch(dlib, people, demo(0.0, 27.0))
    assert SEAT_6 is not SEAT_1
    check(
        watched,
        [
            (EILEEN.name, 0.4, 6.0), ("unknown-1", 3.0, 8.0), ("seat-3", 7.0, 12.4),
            ("seat-4", 9.0, 14.0), ("unknown-2", 13.0, 18.4), (EILEEN.name, 15.0, 19.6),
        ],
    )  # fmt: skip
