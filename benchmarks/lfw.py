"""Labelled Faces in the Wild: who is recognised, and how often strangers are taken for each
other.

Rank-1: one picture enrolled of each of 60 people, five more of each searched among them.
Pairs: 500 pairs of the official protocol, matched at the Similarities that people set as
thresholds. docs/similarity.md says what to expect.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.clips import testdata
from benchmarks.engine import engine_asked_for
from streamproc.engines.base import FaceEngine
from streamproc.engines.runtime import inference_threads
from streamproc.model.face import Embedding, Face
from streamproc.model.media import Image

OUT = Path(__file__).resolve().parent / "out"
THRESHOLDS = (50.0, 80.0, 90.0, 99.0)

# LFW's own errata: this picture shows Abdullah Gul.
MISLABELLED = frozenset({"Recep_Tayyip_Erdogan_0004.jpg"})


@dataclass(frozen=True, slots=True)
class Rank1:
    searched: int
    right: int
    wrong: tuple[str, ...]  # files


@dataclass(frozen=True, slots=True)
class PairRates:
    """Of the official pairs, how many match at a Similarity."""

    similarity: float
    same: int
    same_matched: int
    different: int
    different_matched: int


def subject(faces: Sequence[Face]) -> Face | None:
    """The face nearest to the middle: whom an LFW picture is of."""
    return min(
        faces,
        key=lambda face: (
            abs(face.box.left + face.box.width / 2 - 0.5)
            + abs(face.box.top + face.box.height / 2 - 0.5)
        ),
        default=None,
    )


def embed(engine: FaceEngine, files: Iterable[Path], threads: int = 0) -> dict[str, Embedding]:
    """The subject's embedding by file name; pictures without a face are left out."""

    def one(file: Path) -> tuple[str, Embedding | None]:
        image: Image = cv2.imread(str(file))  # type: ignore[assignment]
        face = subject(engine.analyse([image])[0])
        return file.name, face.embedding if face else None

    # A picture may lie in both folders.
    unique = {file.name: file for file in files}.values()
    with ThreadPoolExecutor(inference_threads(threads)) as pool:
        return {name: vector for name, vector in pool.map(one, unique) if vector is not None}


def person_of(name: str) -> str:
    return name.rpartition("_")[0]


def rank_1(embeddings: dict[str, Embedding], names: Iterable[str]) -> Rank1:
    """The first picture of each person is enrolled, the others are searched."""
    by_person: dict[str, list[str]] = {}
    for name in sorted(names):
        by_person.setdefault(person_of(name), []).append(name)
    people = [person for person, own in by_person.items() if own[0] in embeddings]
    enrolled = np.stack([embeddings[by_person[person][0]] for person in people])
    searched = [name for own in by_person.values() for name in own[1:]]
    wrong = [
        name
        for name in searched
        if name not in embeddings
        or people[int((enrolled @ embeddings[name]).argmax())] != person_of(name)
    ]
    return Rank1(len(searched), len(searched) - len(wrong), tuple(wrong))


def pairs(folder: Path) -> list[tuple[bool, str, str]]:
    """(same person, file name, file name) of lfw/pairs.tsv."""
    with (folder / "pairs.tsv").open() as file:
        return [
            (row["same"] == "1", Path(row["image_a"]).name, Path(row["image_b"]).name)
            for row in csv.DictReader(file, delimiter="\t")
        ]


def pair_rates(
    engine: FaceEngine, embeddings: dict[str, Embedding], wanted: list[tuple[bool, str, str]]
) -> list[PairRates]:
    """A pair of which a face was not found does not match."""
    same = np.array([pair[0] for pair in wanted])
    scores: NDArray[np.float64] = np.array(
        [
            engine.similarity(float(embeddings[a] @ embeddings[b]))
            if a in embeddings and b in embeddings
            else -1.0
            for _, a, b in wanted
        ]
    )
    return [
        PairRates(
            similarity,
            int(same.sum()),
            int((scores[same] >= similarity).sum()),
            int((~same).sum()),
            int((scores[~same] >= similarity).sum()),
        )
        for similarity in THRESHOLDS
    ]


def main() -> None:
    engine = engine_asked_for(__doc__)
    data = testdata()
    folder = data / "lfw"
    gallery = sorted(folder.glob("gallery/*/*.jpg"))
    official = pairs(folder)
    named = {name for _, a, b in official for name in (a, b)}
    others = [file for file in folder.glob("images/*/*.jpg") if file.name in named]
    console = Console()
    with console.status(f"embedding {len(gallery) + len(others)} pictures"):
        embeddings = embed(engine, [*gallery, *others])
    ranked = rank_1(embeddings, [file.name for file in gallery])
    console.print(
        f"{engine.info.pack} ({engine.info.calibration})\n"
        f"rank-1: {ranked.right} of {ranked.searched} = {ranked.right / ranked.searched:.2%}; "
        f"wrong: {', '.join(ranked.wrong) or 'none'}",
        soft_wrap=True,
    )
    rates = pair_rates(engine, embeddings, official)
    table = Table("Similarity", "same person matched", "strangers matched")
    for rate in rates:
        table.add_row(
            f"{rate.similarity:g}",
            f"{rate.same_matched} of {rate.same} = {rate.same_matched / rate.same:.1%}",
            f"{rate.different_matched} of {rate.different}",
        )
    console.print(table)
    OUT.mkdir(exist_ok=True)
    report = {
        "pack": engine.info.pack,
        "rank_1": ranked.right / ranked.searched,
        "pairs": [
            {
                "similarity": rate.similarity,
                "match_rate": rate.same_matched / rate.same,
                "false_match_rate": rate.different_matched / rate.different,
            }
            for rate in rates
        ],
    }
    (OUT / "lfw.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
