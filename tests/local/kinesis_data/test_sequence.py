"""Sequence numbers order records whatever the clock does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.local.kinesis_data.sequence import SequenceNumber
from streamproc.local.kinesis_data.shards import Shard, Stream

NUMBERS = st.builds(
    SequenceNumber,
    created_s=st.integers(0, 2**36 - 1),
    stream=st.integers(0, 2**16 - 1),
    shard=st.integers(0, 2**20 - 1),
    position=st.integers(0, 2**56 - 1),
    arrival_ms=st.integers(0, 2**48 - 1),
)


def stream_of(shards: int, stream_id: int = 1) -> Stream:
    return Stream(
        id=stream_id, region="eu-west-1", account_id="111122223333", name="faces",
        created_ms=1_700_000_000_000, mode="PROVISIONED", retention_hours=24,
        record_bytes_max=1024, tags={},
        shards=[Shard(key=10 + index, index=index, last_position=5) for index in range(shards)],
    )  # fmt: skip


@given(NUMBERS)
def test_a_number_has_56_digits_and_reads_back(number: SequenceNumber) -> None:
    assert len(str(number)) == 56
    assert SequenceNumber.parse(str(number)) == number


def test_numbers_look_like_those_of_aws() -> None:
    stream = stream_of(1)
    assert str(SequenceNumber.of(stream, stream.shards[0], 1, 1_700_000_000_123)).startswith("496")


@given(st.integers(1, 2**55), st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_a_later_record_has_a_larger_number_even_if_the_clock_went_back(
    position: int, before_ms: int, after_ms: int
) -> None:
    stream = stream_of(1)
    earlier = SequenceNumber.of(stream, stream.shards[0], position, before_ms)
    later = SequenceNumber.of(stream, stream.shards[0], position + 1, after_ms)
    assert str(earlier) < str(later)


def test_a_number_belongs_to_one_shard_of_one_stream() -> None:
    stream, successor = stream_of(2), stream_of(2, stream_id=2)
    number = SequenceNumber.of(stream, stream.shards[1], 5, 1_700_000_000_123)
    assert number.is_of(stream, stream.shards[1])
    assert not number.is_of(stream, stream.shards[0])
    assert not number.is_of(successor, successor.shards[1])


def test_a_number_that_was_not_given_out_yet_is_nobodys() -> None:
    stream = stream_of(1)
    number = SequenceNumber.of(stream, stream.shards[0], 6, 1_700_000_000_123)
    assert not number.is_of(stream, stream.shards[0])


@pytest.mark.parametrize("text", ["0", "1", "4" * 56, "9" * 129])
def test_other_digits_are_no_sequence_number(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SequenceNumber.parse(text)
