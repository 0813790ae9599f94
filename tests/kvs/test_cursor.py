"""Where reading goes on, decided without a network."""

from datetime import UTC, datetime

import pytest

from streamproc.kvs.cursor import Cursor
from streamproc.model.media import (
    Fragment,
    FragmentEnded,
    FragmentFailed,
    FragmentStarted,
    MediaEvent,
)
from streamproc.model.position import AfterFragment, FromServerTime, StartAt, StartPosition


def started(number: str, server_s: float | None = 100.5) -> FragmentStarted:
    return FragmentStarted(Fragment(number, server_s, 99.0, 0, ()))


def complete(number: str) -> tuple[FragmentStarted, FragmentEnded]:
    return started(number), FragmentEnded(number, complete=True)


def cut(number: str) -> tuple[FragmentStarted, FragmentEnded]:
    return started(number), FragmentEnded(number, complete=False)


def after(position: StartPosition, *events: MediaEvent) -> Cursor:
    cursor = Cursor(position)
    for event in events:
        cursor.take(event)
    return cursor


@pytest.mark.parametrize(
    ("position", "selector"),
    [
        (StartAt.NOW, {"StartSelectorType": "NOW"}),
        (StartAt.EARLIEST, {"StartSelectorType": "EARLIEST"}),
        (
            AfterFragment("7"),
            {"StartSelectorType": "FRAGMENT_NUMBER", "AfterFragmentNumber": "7"},
        ),
        (
            FromServerTime(1511852109.126),
            {
                "StartSelectorType": "SERVER_TIMESTAMP",
                "StartTimestamp": datetime(2017, 11, 28, 6, 55, 9, 126_000, UTC),
            },
        ),
    ],
)
def test_every_position_has_its_selector(
    position: StartPosition, selector: dict[str, object]
) -> None:
    assert Cursor(position).selector() == selector


@pytest.mark.parametrize("position", [*StartAt, AfterFragment("1"), FromServerTime(1.0)])
def test_reading_goes_on_behind_the_last_complete_fragment(position: StartPosition) -> None:
    assert after(position, *complete("7"), *cut("8")).position == AfterFragment("7")


@pytest.mark.parametrize("position", [StartAt.EARLIEST, AfterFragment("1"), FromServerTime(1.0)])
def test_before_any_complete_fragment_reading_begins_again(position: StartPosition) -> None:
    assert after(position, *cut("7")).position == position


def test_a_fragment_cut_under_now_is_read_from_its_start() -> None:
    assert after(StartAt.NOW, *cut("7")).position == FromServerTime(100.5)
    assert after(StartAt.NOW).position is StartAt.NOW


def test_a_stream_without_numbers_begins_again() -> None:
    events = started("", None), FragmentEnded("", complete=True)
    assert after(StartAt.EARLIEST, *events).position is StartAt.EARLIEST


def test_reading_goes_on_behind_a_fragment_that_cannot_be_delivered() -> None:
    failed = FragmentFailed("8", 3002, "WRITE_ERROR")
    assert after(StartAt.NOW, *complete("7"), failed).position == AfterFragment("8")


@pytest.mark.parametrize("number", ["7", ""])
def test_a_fragment_that_is_gone_is_no_place_to_go_on_from(number: str) -> None:
    gone = FragmentFailed(number, 4000, "FRAGMENT_NOT_FOUND")
    assert after(AfterFragment("7"), gone).position is StartAt.EARLIEST
    assert after(StartAt.NOW, *complete("7"), gone).position == FromServerTime(100.5)


@pytest.mark.parametrize("reads", [2, 4])
def test_damage_is_read_again_so_often_and_then_skipped(reads: int) -> None:
    cursor = after(StartAt.NOW, *complete("7"), *cut("8"))
    for _ in range(reads - 1):
        assert not cursor.skip_damage(reads)
        assert cursor.position == AfterFragment("7")
        for event in cut("8"):
            cursor.take(event)
    assert cursor.skip_damage(reads)
    assert cursor.position == AfterFragment("8")


def test_damage_elsewhere_is_read_again_too() -> None:
    cursor = after(StartAt.NOW, *complete("7"), *cut("8"))
    assert not cursor.skip_damage(2)
    for event in (*complete("8"), *cut("9")):
        cursor.take(event)
    assert not cursor.skip_damage(2)
    assert cursor.position == AfterFragment("8")


def test_damage_that_hides_its_fragment_is_left_behind_by_going_live() -> None:
    cursor = after(StartAt.EARLIEST, *complete("7"))
    assert not cursor.skip_damage(2)
    assert cursor.skip_damage(2)
    assert cursor.position is StartAt.NOW
