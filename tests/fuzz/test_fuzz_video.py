"""A short run of the films' fuzzer, each in a child that may die without harm."""

from tests.fuzz import video


def test_no_film_is_too_much() -> None:
    tally = video.fuzz(seed=4, inputs=100, seconds=600.0)
    assert not tally.findings, tally.findings
    assert tally.inputs == 100
    assert min(tally.accepted, tally.refused.total()) > 10
