"""Who is named rightly on labelled clips, and what it costs: the plain loop, our engine with
each picture alone, and a camera's LiveView.

One photo of each person is enrolled, by our engine for everyone; others are shown (labelled.py),
strangers among them. A face is named as the most similar enrolled one at Similarity 80 or more,
and every name that is not of the person shown there is wrong, whoever else is in the picture.
CPU is that of finding and embedding alone, on one thread. The last table counts what a LiveView
leaves out on the clips of pipeline.py.
"""

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import cv2
import numpy as np
import onnxruntime
from insightface.app import FaceAnalysis
from rich.console import Console
from rich.table import Table

from benchmarks.clips import SOURCES, make_clip, testdata
from benchmarks.labelled import FPS, Label, filmed, people, sampled, scenes
from streamproc.config import load_config
from streamproc.engines.base import FaceEngine
from streamproc.engines.live import LiveView
from streamproc.engines.load import load_engine
from streamproc.model.face import Embedding
from streamproc.model.media import Image

OUT = Path(__file__).resolve().parent / "out"
ANALYSIS_FPS = 5.0
THRESHOLD = 80.0
_RECOGNISER_SIDE = 112

Found: TypeAlias = list[tuple[float, float, Embedding]]
"""The middle of each face in pixels, and its embedding."""

Way: TypeAlias = Callable[[Image, float], Found]
"""From a picture and its second to the faces in it."""

KNOWN = ("right", "wrong", "unnamed", "unseen")
"""What may happen to the face of somebody who is enrolled and in full view; one of them does."""

WRONG = ("wrong", "wrong: stranger", "wrong: half hidden", "wrong: nobody")
"""Names given to whom they are not of: to somebody enrolled, to a stranger, to somebody who is
half hidden or cut, and where nobody is shown."""


@dataclass(frozen=True, slots=True)
class Named:
    """What is said of a face: where its middle is, in pixels, and whose it is."""

    x: float
    y: float
    name: str | None  # None: the most similar person is not similar enough
    cosine: float = 0.0  # to the most similar person


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong name, for whoever wants to look."""

    way: str
    scene: str
    second: float
    outcome: str
    named: Named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each unlabelled clip")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    pack = testdata() / "models" / "mbf_arcface"
    engine = load_engine(load_config(overrides={"engine": {"pack": str(pack)}}).engine)
    app = _plain(pack)
    new_ways: dict[str, Callable[[], Way]] = {
        "plain loop": lambda: _plain_way(app),
        "alone": lambda: _own_way(engine),
        "live view": lambda: _live_way(engine),
    }
    console = Console(width=120)
    tallies, mistakes = _labelled(engine, new_ways)
    console.print(_recognised(tallies))
    console.print(_named_wrongly(mistakes))
    counts = _unlabelled(new_ways, arguments.seconds)
    console.print(_left_out(counts))
    OUT.mkdir(exist_ok=True)
    (OUT / "recognition.json").write_text(
        json.dumps(
            {
                "labelled": tallies,
                "mistakes": [asdict(mistake) for mistake in mistakes],
                "clips": counts,
            },
            indent=1,
        )
    )


def _labelled(
    engine: FaceEngine, new_ways: dict[str, Callable[[], Way]]
) -> tuple[dict[str, dict[str, Counter[str]]], list[Mistake]]:
    """By way and scene what is counted, and every wrong name."""
    known, strangers = people(testdata(), engine)
    names = [person.name for person in known]
    vectors = np.stack([_enrolled(engine, person.enrolled) for person in known])
    threshold = engine.cosine(THRESHOLD)

    def named(x: float, y: float, embedding: Embedding) -> Named:
        cosines = vectors @ embedding
        best = int(cosines.argmax())
        cosine = float(cosines[best])
        return Named(x, y, names[best] if cosine >= threshold else None, cosine)

    tallies: dict[str, dict[str, Counter[str]]] = {way: {} for way in new_ways}
    mistakes = []
    for scene in scenes(testdata(), known, strangers):
        clip, labels = filmed(scene)
        pictures = list(sampled(clip, ANALYSIS_FPS))
        for way, new in new_ways.items():
            tally = tallies[way][scene.name] = Counter[str]()
            look = new()
            with _counted(tally):
                for number, picture in pictures:
                    before = time.thread_time_ns()
                    found = look(picture, number / FPS)
                    tally["cpu_ns"] += time.thread_time_ns() - before
                    for outcome, face in judged(labels[number], [named(*one) for one in found]):
                        tally[outcome] += 1
                        if face is not None and outcome in WRONG:
                            mistakes.append(Mistake(way, scene.name, number / FPS, outcome, face))
    return tallies, mistakes


def judged(labels: Sequence[Label], faces: Sequence[Named]) -> list[tuple[str, Named | None]]:
    """What happened to each person shown, and every other name that is wrong, each with the face
    that it was said of: of KNOWN for who is enrolled, "stranger" for who is not and got no name,
    and of WRONG.

    Who is half hidden or cut may be unnamed or unseen and not count, but not be misnamed. A face
    is the nearest person's within half a face; those in full view take theirs first.
    """
    outcomes: list[tuple[str, Named | None]] = []
    left = list(faces)
    for label in (label for label in labels if label.counts):
        face = min(left, key=lambda one: _distance(label, one), default=None)
        if face is None or not _is_near(label, face):
            outcomes.append(("stranger" if label.name is None else "unseen", None))
            continue
        left.remove(face)
        outcomes.append((_said_of(label, face), face))
    for face in left:
        near = [label for label in labels if _is_near(label, face)]
        owner = min(near, key=lambda label: _distance(label, face), default=None)
        if face.name is not None and (owner is None or face.name != owner.name):
            outcomes.append((f"wrong: {'half hidden' if owner else 'nobody'}", face))
    return outcomes


def _said_of(label: Label, face: Named) -> str:
    if label.name is None:
        return "stranger" if face.name is None else "wrong: stranger"
    if face.name is None:
        return "unnamed"
    return "right" if face.name == label.name else "wrong"


def _distance(label: Label, face: Named) -> float:
    return math.hypot(face.x - label.x, face.y - label.y)


def _is_near(label: Label, face: Named) -> bool:
    return _distance(label, face) < label.size / 2


def _unlabelled(
    new_ways: dict[str, Callable[[], Way]], seconds: float
) -> dict[str, dict[str, Counter[str]]]:
    """Way, clip, what is counted."""
    counts: dict[str, dict[str, Counter[str]]] = {way: {} for way in new_ways}
    with TemporaryDirectory() as folder:
        for view in SOURCES:
            clip = make_clip(view, seconds, Path(folder) / f"{view}.mkv").read_bytes()
            pictures = list(sampled(clip, ANALYSIS_FPS))
            for way, new in new_ways.items():
                count = counts[way][view] = Counter[str](pictures=len(pictures))
                look = new()
                with _counted(count):
                    for number, picture in pictures:
                        before = time.thread_time_ns()
                        count["faces"] += len(look(picture, number / FPS))
                        count["cpu_ns"] += time.thread_time_ns() - before
    return counts


def _plain(pack: Path) -> FaceAnalysis:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    app = FaceAnalysis(
        name=str(pack),
        allowed_modules=["detection", "recognition"],
        providers=["CPUExecutionProvider"],
        sess_options=options,
    )
    app.prepare(ctx_id=-1)
    return app


def _plain_way(app: FaceAnalysis) -> Way:
    def look(picture: Image, _: float) -> Found:
        return [
            (float(face.bbox[::2].mean()), float(face.bbox[1::2].mean()), face.normed_embedding)
            for face in app.get(picture)
        ]

    return look


def _own_way(engine: FaceEngine) -> Way:
    return lambda picture, _: _found(engine.analyse([picture])[0], picture)


def _live_way(engine: FaceEngine) -> Way:
    view = LiveView()
    return lambda picture, now_s: _found(view.analyse(engine, picture, now_s), picture)


def _found(faces: Sequence[Any], picture: Image) -> Found:
    height, width = picture.shape[:2]
    return [
        (
            (face.box.left + face.box.width / 2) * width,
            (face.box.top + face.box.height / 2) * height,
            face.embedding,
        )
        for face in faces
    ]


def _enrolled(engine: FaceEngine, photo: Image) -> Embedding:
    middle = photo.shape[1] / 2
    faces = _found(engine.analyse([photo])[0], photo)
    return min(faces, key=lambda one: math.hypot(one[0] - middle, one[1] - middle))[2]


@contextmanager
def _counted(tally: Counter[str]) -> Iterator[None]:
    """Count what the networks are given: faces embedded, and pixels that the detector sees."""
    run = onnxruntime.InferenceSession.run

    def counting(session: Any, outputs: Any, inputs: Any, *rest: Any) -> Any:
        for value in inputs.values():
            if value.shape[2:] == (_RECOGNISER_SIDE, _RECOGNISER_SIDE):
                tally["embedded"] += len(value)
            else:
                tally["pixels"] += int(value.shape[0] * value.shape[2] * value.shape[3])
        return run(session, outputs, inputs, *rest)

    onnxruntime.InferenceSession.run = counting
    try:
        yield
    finally:
        onnxruntime.InferenceSession.run = run


def _recognised(tallies: dict[str, dict[str, Counter[str]]]) -> Table:
    table = Table(title=f"named at Similarity {THRESHOLD:g}")
    for column in ("scene", "way", "known", "right %", "wrong", "unnamed", "unseen",
                   "embedded", "detector Mpx", "CPU s"):  # fmt: skip
        table.add_column(column, justify="left" if column in {"scene", "way"} else "right")
    for scene in [*next(iter(tallies.values())), "all"]:
        for way, by_scene in tallies.items():
            one = sum(by_scene.values(), Counter[str]()) if scene == "all" else by_scene[scene]
            of_known = sum(one[what] for what in KNOWN)
            table.add_row(
                scene, way, str(of_known), f"{100 * one['right'] / max(of_known, 1):.1f}",
                str(sum(one[what] for what in WRONG)), str(one["unnamed"]), str(one["unseen"]),
                str(one["embedded"]), f"{one['pixels'] / 1e6:.1f}", f"{one['cpu_ns'] / 1e9:.2f}",
            )  # fmt: skip
    return table


def _named_wrongly(mistakes: Sequence[Mistake]) -> Table:
    table = Table(title="wrong names")
    for column in ("scene", "way", "second", "what", "named", "x", "y", "cosine"):
        table.add_column(column, justify="right" if column in {"second", "x", "y"} else "left")
    for one in mistakes:
        table.add_row(
            one.scene, one.way, f"{one.second:.1f}", one.outcome, one.named.name,
            f"{one.named.x:.0f}", f"{one.named.y:.0f}", f"{one.named.cosine:.3f}",
        )  # fmt: skip
    return table


def _left_out(counts: dict[str, dict[str, Counter[str]]]) -> Table:
    table = Table(title="clips of pipeline.py")
    for column in ("clip", "way", "pictures", "faces", "embedded", "detector Mpx", "CPU s"):
        table.add_column(column, justify="left" if column in {"clip", "way"} else "right")
    for view in SOURCES:
        for way, by_view in counts.items():
            one = by_view[view]
            table.add_row(
                view, way, str(one["pictures"]), str(one["faces"]), str(one["embedded"]),
                f"{one['pixels'] / 1e6:.1f}", f"{one['cpu_ns'] / 1e9:.2f}",
            )  # fmt: skip
    return table


if __name__ == "__main__":
    main()
