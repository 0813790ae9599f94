"""Similarity rises with the cosine, and every threshold is one cosine and back."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.engines.similarity import (
    ARCFACE_512,
    DLIB_RESNET,
    MBF_ARCFACE,
    RATES,
    SIMILARITIES,
    Calibration,
    calibration_of,
    guess,
)

CALIBRATIONS = [MBF_ARCFACE, DLIB_RESNET, ARCFACE_512, guess(64), guess(512)]
calibrations = st.sampled_from(CALIBRATIONS)


def test_thresholds_mean_their_false_match_rates() -> None:
    meaning = dict(zip(RATES, SIMILARITIES, strict=True))
    assert [meaning[rate] for rate in (1e-2, 1e-3, 1e-4, 1e-6)] == [50, 80, 90, 99]


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_calibrated_cosines_read_as_their_similarity(calibration: Calibration) -> None:
    assert [calibration.similarity(cosine) for cosine in calibration.cosines] == list(SIMILARITIES)
    assert [calibration.cosine(similarity) for similarity in SIMILARITIES] == list(
        calibration.cosines
    )


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_calibrated_cosines_rise(calibration: Calibration) -> None:
    assert all(lower < higher for lower, higher in pairwise((-1.0, *calibration.cosines, 0.9999)))


@given(calibrations, st.floats(-1, 1), st.floats(-1, 1))
def test_similarity_never_falls(calibration: Calibration, one: float, other: float) -> None:
    lower, higher = sorted((one, other))
    assert 0 <= calibration.similarity(lower) <= calibration.similarity(higher) <= 100


@given(calibrations, st.floats(0, 100))
def test_the_cosine_of_a_similarity_is_the_least_that_reaches_it(
    calibration: Calibration, similarity: float
) -> None:
    cosine = calibration.cosine(similarity)
    assert calibration.similarity(cosine) >= similarity
    assert calibration.similarity(cosine) == pytest.approx(similarity, abs=1e-9)
    assert cosine == -1 or calibration.similarity(cosine - 1e-9) < similarity


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_the_ends_are_0_and_100(calibration: Calibration) -> None:
    assert calibration.similarity(-1.0) == 0
    assert calibration.similarity(1.0) == 100
    assert calibration.similarity(1.0000001) == 100  # float32 vectors are not quite of length 1
    assert calibration.similarity(-1.0000001) == 0


def test_unknown_weights_are_guessed_with_caution() -> None:
    for dimension in (32, 64, 128, 512):
        guessed = calibration_of("0" * 64, dimension)
        assert guessed.evidence == "guessed"
        for cosine in (0.2, 0.3, 0.4, 0.6):
            assert guessed.similarity(cosine) <= MBF_ARCFACE.similarity(cosine)


def test_known_weights_say_how_they_are_known() -> None:
    mbf = "73d51a89fb5e839deea35597a524f30943027ae911be71a4897bf41efd2bdc71"
    w600k_r50 = "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
    assert calibration_of(mbf, 128).evidence == "measured"
    assert calibration_of(w600k_r50, 512).evidence == "estimated"
