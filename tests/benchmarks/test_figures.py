"""What the benchmarks' counts are taken to mean."""

import pytest

from benchmarks.figures import (
    Acknowledged,
    delays_ms,
    fell_behind,
    from_level,
    percentile,
    rates,
    shares,
    spread,
)

SENT = {"a": {1000: 50.0, 1200: 50.2, 1400: 50.4, 9000: 58.0}, "b": {1000: 50.0}}
WINDOW = (50.0, 52.0)


def acknowledged(stream: str, media_ms: int, at_s: float) -> Acknowledged:
    return Acknowledged(stream, media_ms, at_s, faces=0)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1.0) == 100
    assert percentile([7.0], 0.99) == 7.0


def test_nothing_measured_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 0.5)


def test_a_delay_counts_for_the_window_its_frame_was_sent_in() -> None:
    records = [acknowledged("a", 1000, 50.1), acknowledged("a", 9000, 58.5)]
    assert delays_ms(records, SENT, WINDOW) == pytest.approx([100.0])


def test_a_record_of_a_frame_that_nobody_sent_is_no_measurement() -> None:
    with pytest.raises(LookupError, match="a sent no frame at 1001 ms"):
        delays_ms([acknowledged("a", 1001, 50.1)], SENT, WINDOW)


def test_a_record_that_came_twice_is_one_frame() -> None:
    records = [acknowledged("a", 1000, 50.1), acknowledged("a", 1000, 50.3)]
    assert rates(records, SENT, WINDOW) == {"a": 0.5, "b": 0.0}


def test_spread_is_that_of_the_one_farthest_off() -> None:
    assert spread([5.0, 5.0, 5.0]) == 0
    assert spread([4.0, 5.0, 6.0, 5.0]) == pytest.approx(0.2)
    assert spread([0.0, 0.0]) == float("inf")


@pytest.mark.parametrize(
    ("each", "p50_ms", "why"),
    [
        ([5.0, 4.9], 200.0, ""),
        ([5.0, 3.0], 200.0, "4.00 of 5 frames/s analysed"),
        ([5.0, 5.0], 6200.0, "half of the records over 6.2 s late"),
    ],
)
def test_who_leaves_work_undone_is_told_from_who_is_cheap(
    each: list[float], p50_ms: float, why: str
) -> None:
    assert fell_behind(each, 5.0, p50_ms, window_s=20.0) == why


def test_what_no_part_names_is_the_rest() -> None:
    assert shares(10.0, {"decoding": 2.5}) == {"decoding": 0.25, "the rest": 0.75}


def test_level_costs_are_0_from_level() -> None:
    assert from_level([0.2, 0.2]) == 0
    assert from_level([0.23, 0.2]) == pytest.approx(0.15)
