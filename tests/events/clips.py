"""Two clips of which it is known who is in view when, and the comparison with what was told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from streamproc.cli.demo_video import EILEEN, ENROLLED, Person, scene
from streamproc.model.media import Image
from tests.events.labelled import Bar, Clip, Way

EXIT_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Label:
    """Who is in view, in seconds of the clip."""

    name: str
    from_s: float
    to_s: float


TURNS: Final = Clip(
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
TURNS_LABELS: Final = (
    Label("alice", 1, 14), Label("unknown-1", 12, 24), Label("alice", 34, 48), Label("bob", 36, 50),
)  # fmt: skip

DEMO_S: Final = 27.0
DEMO_LABELS: Final = (
    Label(EILEEN.name, 0.4, 6.0), Label("unknown-1", 3.0, 8.0), Label("seat-3", 7.0, 12.4),
    Label("seat-4", 9.0, 14.0), Label("unknown-2", 13.0, 18.4), Label(EILEEN.name, 15.0, 19.6),
)  # fmt: skip
DEMO_ENROLLED: Final[tuple[Person, ...]] = ENROLLED


def demo_frames(fps: float) -> Iterator[tuple[float, Image]]:
    """The demo's scene, which needs no test data; for two seconds a bar covers whoever stands on
    the left, and at the end there is nobody."""
    for number in range(round(DEMO_S * fps)):
        time_s = number / fps
        picture = scene(time_s) if time_s < 20 else scene(0.0)
        if 2.0 <= time_s < 4.0:
            picture = picture.copy()
            picture[:, :430] = (90, 60, 40)
        yield time_s, np.ascontiguousarray(picture)


def cast_of(testdata: Path) -> Mapping[str, Sequence[Image]]:
    """Six pictures each of people of LFW, by another name."""
    cast = {"alice": "Michael_Schumacher", "bob": "Andy_Roddick", "stranger": "Anna_Kournikova"}
    return {
        name: [_read(file) for file in sorted((testdata / "lfw" / "gallery" / folder).iterdir())]
        for name, folder in cast.items()
    }


def _read(file: Path) -> Image:
    picture = cv2.imread(str(file))
    assert picture is not None
    return np.asarray(picture, np.uint8)


def check(
    visits: Sequence[tuple[str, float, float | None]],
    labels: Sequence[Label],
    *,
    late_s: float = 1.5,
    stranger_late_s: float = 3.0,
) -> None:
    """visits: who, from when to when in seconds of the clip, as they were told, in order of their
    enters. They are those of the labels: nobody else's, and nobody's twice."""
    assert [name for name, _, _ in visits] == [label.name for label in labels], visits
    for (name, enter_s, exit_s), label in zip(visits, labels, strict=True):
        late = stranger_late_s if name.startswith("unknown-") else late_s
        assert label.from_s <= enter_s <= label.from_s + late, (name, enter_s)
        assert exit_s is not None, name
        assert label.to_s - 1.0 <= exit_s - EXIT_AFTER_S <= label.to_s + 1.0, (name, exit_s)
