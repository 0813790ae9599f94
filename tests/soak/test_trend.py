"""The soak's verdict can fail: a leak is seen, breathing is not."""

import pytest

from tests.soak.trend import ALLOWED, trend


@pytest.mark.parametrize("figure", ALLOWED)
def test_what_stays_level_has_no_trend(figure: str) -> None:
    assert not trend(figure, [400 + (number % 5) / 2 for number in range(60)]).grows


@pytest.mark.parametrize("figure", ALLOWED)
def test_what_grows_by_a_little_each_time_is_a_trend(figure: str) -> None:
    assert trend(figure, [400 + number for number in range(60)]).grows


def test_growth_in_the_warm_up_counts_as_warming_up() -> None:
    assert not trend("memory_mb", [100.0 + 20 * min(number, 10) for number in range(60)]).grows


def test_a_burst_in_the_middle_is_no_trend() -> None:
    values = [50.0] * 60
    values[30:34] = [90.0] * 4
    assert not trend("threads", values).grows


def test_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="too few"):
        trend("tasks", [1.0] * 5)
