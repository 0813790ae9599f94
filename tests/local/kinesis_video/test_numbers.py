"""Fragment numbers rise in the order of arrival, for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.local.kinesis_video.numbers import (
    NumberSequence,
    before,
    comparable,
    fragment_number,
)


def take(numbers: NumberSequence, blocks_on_disk: list[int], server_ms: int = 0) -> str:
    while numbers.wants_block:
        blocks_on_disk[0] += 1
        numbers.reserved(blocks_on_disk[0])
    return numbers.next(server_ms)


def sequence_of(number: str) -> int:
    return (int(number) >> 92) & (1 << 64) - 1


def test_a_number_is_laid_out_as_in_recorded_streams() -> None:
    number = "91343852333181432392682062607743920146159169392"  # of output_get_media.mkv
    assert fragment_number(1, 1511852109126, 0xFEEEF70) == number


def test_every_session_opens_a_block_of_a_thousand() -> None:
    disk = [0]
    numbers = NumberSequence(0)
    sequences = []
    for _ in range(3):
        numbers.start_session()
        sequences += [sequence_of(take(numbers, disk)) for _ in range(2)]
    assert sequences == [1, 2, 1001, 1002, 2001, 2002]


def test_a_session_of_more_than_a_thousand_fragments_reserves_further_blocks() -> None:
    disk = [0]
    numbers = NumberSequence(0)
    numbers.start_session()
    taken = [take(numbers, disk) for _ in range(2500)]
    assert sequence_of(taken[-1]) == 2500
    assert disk == [3]


@given(
    st.lists(st.tuples(st.sampled_from(["session", "fragment", "restart"]), st.integers(0, 2**42)))
)
def test_numbers_rise_whatever_the_wall_clock_and_restarts_do(steps: list[tuple[str, int]]) -> None:
    disk = [0]
    numbers = NumberSequence(0)
    taken = [numbers.last]
    for step, server_ms in steps:
        if step == "restart":
            numbers = NumberSequence(disk[0])
            assert numbers.last >= taken[-1]
        elif step == "session":
            numbers.start_session()
        else:
            taken.append(take(numbers, disk, server_ms))
            assert numbers.last == taken[-1]
    assert taken == sorted(set(taken), key=int)
    assert taken == sorted(taken)  # as texts, too


@pytest.mark.parametrize("digits", ["0", "7", "007", "9" * 46, "1" + "0" * 47, "9" * 128])
def test_any_decimal_has_its_place_in_the_order_of_numbers(digits: str) -> None:
    number = fragment_number(5, 1_700_000_000_000, 7)
    assert (comparable(digits) < number) == (int(digits) < int(number))


def test_what_comes_after_a_restart_stands_behind_a_full_block() -> None:
    disk = [0]
    numbers = NumberSequence(0)
    numbers.start_session()
    issued = [take(numbers, disk, server_ms=2**42) for _ in range(1000)]
    restarted = NumberSequence(disk[0])
    assert issued[-1] < restarted.last < take(restarted, disk)


def test_before_is_the_neighbour_below() -> None:
    number = fragment_number(5, 1_700_000_000_000, 7)
    assert int(before(number)) == int(number) - 1
    assert before(number) < number
