"""Measure the constants of streamproc/engines/similarity.py on LFW.

Every pair of pictures of two different people is compared. People are weighted, not
pictures: each pair of people counts once, however many pictures they have. Within the data
the cosine of a false-match rate is the weighted quantile; beyond it, from rate 1e-3 on, a
generalised Pareto distribution fitted to what lies above the cosine of 1e-2 (peaks over
threshold). Nothing here is random.
"""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize  # type: ignore[import-untyped]

from benchmarks.clips import testdata
from benchmarks.engine import engine_asked_for
from benchmarks.lfw import MISLABELLED, OUT, embed, person_of
from streamproc.engines.similarity import RATES, SIMILARITIES
from streamproc.model.face import Embedding

TAIL_RATE = 1e-2  # the tail that is fitted begins here
FITTED_FROM = 1e-3  # rates up to here are read from the fit

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Strangers:
    """Cosines of pairs of different people, highest first, with the weight of each pair."""

    cosines: Vector
    weights: Vector  # sum to 1

    def quantile(self, rate: float) -> float:
        return float(np.interp(rate, np.cumsum(self.weights), self.cosines))


def compare(embeddings: dict[str, Embedding]) -> tuple[Strangers, Vector]:
    """All pairs of strangers, and the cosines of pairs of one person."""
    names = sorted(name for name in embeddings if name not in MISLABELLED)
    vectors = np.stack([embeddings[name] for name in names]).astype(np.float64)
    _, person, count = np.unique(
        [person_of(name) for name in names], return_inverse=True, return_counts=True
    )
    first, second = np.triu_indices(len(names), 1)
    cosines = (vectors @ vectors.T)[first, second]
    same = person[first] == person[second]
    weights = 1.0 / (count[person[first]] * count[person[second]])[~same]
    order = np.argsort(cosines[~same])[::-1]
    return Strangers(cosines[~same][order], weights[order] / weights.sum()), cosines[same]


def fit_tail(strangers: Strangers) -> tuple[float, float, float]:
    """Threshold, shape and scale of the generalised Pareto distribution, by weighted maximum
    likelihood."""
    threshold = strangers.quantile(TAIL_RATE)
    above = strangers.cosines > threshold
    excess, weights = strangers.cosines[above] - threshold, strangers.weights[above]

    def loss(parameters: Vector) -> float:
        shape, scale = parameters
        inside = 1 + shape * excess / scale
        if scale <= 0 or (inside <= 0).any():
            return float("inf")
        return float((weights * (np.log(scale) + (1 + 1 / shape) * np.log(inside))).sum())

    shape, scale = minimize(loss, [0.01, float(excess.mean())], method="Nelder-Mead").x
    return threshold, float(shape), float(scale)


def main() -> None:
    engine = engine_asked_for(__doc__)
    data = testdata()
    files = sorted(data.glob("lfw/*/*/*.jpg"))
    console = Console()
    with console.status(f"embedding {len(files)} pictures"):
        embeddings = embed(engine, files)
    strangers, same = compare(embeddings)
    threshold, shape, scale = fit_tail(strangers)
    mean = float(strangers.cosines @ strangers.weights)
    deviation = float(np.sqrt((strangers.cosines - mean) ** 2 @ strangers.weights))
    console.print(
        f"{engine.info.pack}: {len(embeddings)} of {len(files)} pictures, "
        f"{len(strangers.cosines)} pairs of strangers (mean {mean:.4f}, deviation "
        f"{deviation:.4f}), {len(same)} pairs of one person (mean {same.mean():.4f}); tail above "
        f"{threshold:.4f}: shape {shape:.3f}, scale {scale:.4f}",
        soft_wrap=True,
    )
    table = Table("Similarity", "rate", "measured", "fitted", "used", "deviations", "found at it")
    used = []
    for rate, similarity in zip(RATES, SIMILARITIES, strict=True):
        measured = strangers.quantile(rate)
        fitted = threshold + scale / shape * ((rate / TAIL_RATE) ** -shape - 1)
        used.append(round(fitted if rate <= FITTED_FROM else measured, 3))
        table.add_row(
            f"{similarity:g}",
            f"{rate:g}",
            f"{measured:.4f}" if rate >= 1e-5 else "beyond the data",
            f"{fitted:.4f}" if rate <= TAIL_RATE else "",
            f"{used[-1]:.3f}",
            f"{(used[-1] - mean) / deviation:.2f}",
            f"{(same >= used[-1]).mean():.1%}",
        )
    console.print(table)
    OUT.mkdir(exist_ok=True)
    report = {"pack": engine.info.pack, "rates": RATES, "cosines": used}
    (OUT / f"similarity-{engine.info.pack}.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
