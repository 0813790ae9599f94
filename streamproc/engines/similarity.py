"""Similarity: what a cosine means, in a figure from 0 to 100 that means it for every pack.

Pure. A cosine of 0.3 is much to one network and nothing to another, so each is calibrated by
how often strangers reach it: Similarity 50 is a false-match rate of 1 in 100, 80 of 1 in
1000, 90 of 1 in 10 000, 99 of 1 in 1 000 000. docs/similarity.md says where the figures come
from; benchmarks/calibrate_similarity.py measures them.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Evidence: TypeAlias = Literal["measured", "estimated", "guessed"]

RATES = (0.5, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6)
"""False-match rates at which a calibration knows the cosine."""

SIMILARITIES = (7.5, 25.0, 50.0, 80.0, 90.0, 99.0)
"""What each of these rates is called. The first two go on at 25 per decade, as 50 began."""

# Two crops of one picture reach this through float32 noise: the same picture reads 100.
_IDENTICAL = 0.9999


@dataclass(frozen=True, slots=True)
class Calibration:
    """The cosines at which strangers match at RATES, and how they are known."""

    cosines: tuple[float, float, float, float, float, float]
    evidence: Evidence

    def similarity(self, cosine: float) -> float:
        """0 to 100; rises with the cosine, linear between the calibrated points."""
        return _interpolate(cosine, *self._line())

    def cosine(self, similarity: float) -> float:
        """The least cosine whose similarity is at least this one, -1 to 0.9999."""
        cosines, similarities = self._line()
        cosine = _interpolate(similarity, similarities, cosines)
        while self.similarity(cosine) < similarity <= 100.0:  # a last bit lost to rounding
            cosine = math.nextafter(cosine, math.inf)
        return cosine

    def _line(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return (-1.0, *self.cosines, _IDENTICAL), (0.0, *SIMILARITIES, 100.0)


def _interpolate(value: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    if value <= xs[0]:
        return ys[0]
    if value >= xs[-1]:
        return ys[-1]
    right = bisect_right(xs, value)
    x0, x1, y0, y1 = xs[right - 1], xs[right], ys[right - 1], ys[right]
    return y0 + (y1 - y0) * (value - x0) / (x1 - x0)


MBF_ARCFACE = Calibration((0.003, 0.126, 0.231, 0.314, 0.387, 0.504), "measured")
"""MobileFaceNet ArcFace, 128 dimensions (mbf_arcface_y1)."""

DLIB_RESNET = Calibration((0.836, 0.878, 0.907, 0.925, 0.939, 0.957), "measured")
"""dlib's ResNet, 128 dimensions, descriptors normalised."""

ARCFACE_512 = Calibration((0.003, 0.113, 0.206, 0.280, 0.345, 0.449), "estimated")
"""InsightFace's networks of 512 dimensions, all alike: MBF_ARCFACE's curve, scaled so that
0.28 is met by 1 stranger in 1000."""

_BY_WEIGHTS = {
    "73d51a89fb5e839deea35597a524f30943027ae911be71a4897bf41efd2bdc71": MBF_ARCFACE,
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30": DLIB_RESNET,
    "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f": ARCFACE_512,  # w600k_mbf
    "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43": ARCFACE_512,  # w600k_r50
    "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf": ARCFACE_512,  # glintr100
}


def calibration_of(weights_sha256: str, dimension: int) -> Calibration:
    """The calibration of these recognition weights, or a cautious guess from the dimension of
    their embeddings for weights that nobody measured."""
    return _BY_WEIGHTS.get(weights_sha256) or guess(dimension)


def guess(dimension: int) -> Calibration:
    """Cosines of strangers spread as 1 / sqrt(dimension) at best. The guess is that this
    network is no better than MBF_ARCFACE, and worse in proportion if its dimension is below
    128: cautious, since too high a cosine only misses matches."""
    wider = max(1.0, math.sqrt(128 / dimension))
    median, *rest = MBF_ARCFACE.cosines
    # However few the dimensions, the points stay in order below the end of the line.
    wider = min(wider, 0.98 / rest[-1])
    first, second, third, fourth, fifth = (cosine * wider for cosine in rest)
    return Calibration((median, first, second, third, fourth, fifth), "guessed")
