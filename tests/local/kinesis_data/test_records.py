"""Putting records and reading them back, through boto3."""

import hashlib
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

START = 1_700_000_000.0  # FakeClock's
SHARD = "shardId-000000000000"
MIB = 1024 * 1024

ReadAll = Callable[..., list[dict[str, Any]]]


def numbers(records: list[dict[str, Any]]) -> list[int]:
    return [int(record["Data"]) for record in records]


def put_numbered(kinesis: Any, count: int, start: int = 0) -> list[str]:
    """One request of records that are their own number; their sequence numbers."""
    answer = kinesis.put_records(
        StreamName="faces",
        Records=[
            {"Data": str(number).encode(), "PartitionKey": f"cam{number}"}
            for number in range(start, start + count)
        ],
    )
    assert answer["FailedRecordCount"] == 0
    return [record["SequenceNumber"] for record in answer["Records"]]


@pytest.fixture
def stream(kinesis: Any) -> str:
    """A stream of one shard."""
    kinesis.create_stream(StreamName="faces", ShardCount=1)
    return "faces"


def test_a_record_comes_back_as_it_was_put(
    local: Any, kinesis: Any, stream: str, read_all: ReadAll
) -> None:
    local.advance(1.25)
    data, key = bytes(range(256)), "caméra 1"
    put = kinesis.put_record(StreamName=stream, Data=data, PartitionKey=key)
    assert put["ShardId"] == SHARD
    assert read_all(kinesis, stream) == [
        {
            "SequenceNumber": put["SequenceNumber"],
            "ApproximateArrivalTimestamp": datetime.fromtimestamp(START + 1.25, UTC),
            "Data": data,
            "PartitionKey": key,
        }
    ]


@pytest.mark.parametrize("limit", [1, 3, 7, 10_000])
def test_every_record_is_read_once_in_order(
    kinesis: Any, stream: str, read_all: ReadAll, limit: int
) -> None:
    put_numbered(kinesis, 5)
    kinesis.put_record(StreamName=stream, Data=b"5", PartitionKey="cam")
    put_numbered(kinesis, 5, start=6)
    records = read_all(kinesis, stream, limit=limit)
    assert numbers(records) == list(range(11))
    given = [record["SequenceNumber"] for record in records]
    assert given == sorted(given, key=int)
    assert len(set(given)) == 11


def test_several_shards_hold_every_record_between_them(kinesis: Any, read_all: ReadAll) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=4)
    for start in range(0, 200, 50):
        put_numbered(kinesis, 50, start)
    shards = [
        numbers(read_all(kinesis, "faces", shard["ShardId"]))
        for shard in kinesis.list_shards(StreamName="faces")["Shards"]
    ]
    assert all(found == sorted(found) and len(found) > 20 for found in shards)
    assert sorted(itertools.chain(*shards)) == list(range(200))


def test_a_key_goes_where_its_md5_says(kinesis: Any, read_all: ReadAll) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=7)
    ranges = {
        shard["ShardId"]: (
            int(shard["HashKeyRange"]["StartingHashKey"]),
            int(shard["HashKeyRange"]["EndingHashKey"]),
        )
        for shard in kinesis.list_shards(StreamName="faces")["Shards"]
    }
    for number in range(50):
        key = f"caméra {number}"
        answer = kinesis.put_record(StreamName="faces", Data=b"", PartitionKey=key)
        low, high = ranges[answer["ShardId"]]
        assert low <= int(hashlib.md5(key.encode()).hexdigest(), 16) <= high


def test_an_explicit_hash_key_overrides_the_partition_key(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="faces", ShardCount=3)
    for shard in kinesis.list_shards(StreamName="faces")["Shards"]:
        for end in ("StartingHashKey", "EndingHashKey"):
            answer = kinesis.put_record(
                StreamName="faces",
                Data=b"",
                PartitionKey="same",
                ExplicitHashKey=shard["HashKeyRange"][end],
            )
            assert answer["ShardId"] == shard["ShardId"]


# --- iterators -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("AT_SEQUENCE_NUMBER", [2, 3, 4, 5]), ("AFTER_SEQUENCE_NUMBER", [3, 4, 5])],
)
def test_reading_from_a_sequence_number(
    kinesis: Any, stream: str, read_all: ReadAll, kind: str, expected: list[int]
) -> None:
    third = put_numbered(kinesis, 6)[2]
    found = read_all(kinesis, stream, kind=kind, StartingSequenceNumber=third)
    assert numbers(found) == expected


@pytest.mark.parametrize("kind", ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"])
def test_reading_from_the_shards_own_starting_number(
    kinesis: Any, stream: str, read_all: ReadAll, kind: str
) -> None:
    [shard] = kinesis.list_shards(StreamName=stream)["Shards"]
    start = shard["SequenceNumberRange"]["StartingSequenceNumber"]
    put_numbered(kinesis, 3)
    found = read_all(kinesis, stream, kind=kind, StartingSequenceNumber=start)
    assert numbers(found) == [0, 1, 2]


def test_reading_after_the_newest_record_waits_for_the_next(kinesis: Any, stream: str) -> None:
    newest = put_numbered(kinesis, 3)[-1]
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=SHARD, ShardIteratorType="AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber=newest,
    )["ShardIterator"]  # fmt: skip
    put_numbered(kinesis, 1, start=3)
    assert numbers(kinesis.get_records(ShardIterator=iterator)["Records"]) == [3]


def test_latest_gives_what_comes_after_it_was_asked_for(kinesis: Any, stream: str) -> None:
    put_numbered(kinesis, 3)
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=SHARD, ShardIteratorType="LATEST"
    )["ShardIterator"]
    empty = kinesis.get_records(ShardIterator=iterator)
    assert (empty["Records"], empty["MillisBehindLatest"]) == ([], 0)
    put_numbered(kinesis, 2, start=3)
    for following in (iterator, empty["NextShardIterator"]):
        assert numbers(kinesis.get_records(ShardIterator=following)["Records"]) == [3, 4]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(-100.0, [0, 1, 2], id="before everything"),
        pytest.param(10.0, [1, 2], id="exactly"),
        pytest.param(9.999, [1, 2], id="a millisecond before"),
        pytest.param(10.001, [2], id="a millisecond after"),
        pytest.param(20.001, [], id="after everything"),
    ],
)
def test_reading_from_a_time(
    local: Any, kinesis: Any, stream: str, read_all: ReadAll, seconds: float, expected: list[int]
) -> None:
    for number in range(3):
        put_numbered(kinesis, 1, start=number)
        local.advance(10.0)
    since = datetime.fromtimestamp(START + seconds, UTC)
    assert numbers(read_all(kinesis, stream, kind="AT_TIMESTAMP", Timestamp=since)) == expected


def test_reading_from_a_time_survives_a_clock_that_went_back(
    local: Any, kinesis: Any, stream: str, read_all: ReadAll
) -> None:
    for number, seconds in enumerate((100.0, -50.0, 100.0)):
        local.advance(seconds)  # 100, 50, 150
        put_numbered(kinesis, 1, start=number)
    since = datetime.fromtimestamp(START + 75, UTC)
    found = read_all(kinesis, stream, kind="AT_TIMESTAMP", Timestamp=since)
    assert numbers(found) == [0, 1, 2]  # in order, and none that is wanted left out


def test_a_reader_knows_how_far_behind_it_is(local: Any, kinesis: Any, stream: str) -> None:
    for number in range(3):
        put_numbered(kinesis, 1, start=number)
        local.advance(2.0)
    page = {"NextShardIterator": kinesis.get_shard_iterator(
        StreamName=stream, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]}  # fmt: skip
    behind = []
    for _ in range(4):
        page = kinesis.get_records(ShardIterator=page["NextShardIterator"], Limit=1)
        behind.append(page["MillisBehindLatest"])
    assert behind == [6000, 4000, 0, 0]


def test_an_iterator_ends_after_its_time(local: Any, kinesis: Any, stream: str) -> None:
    put_numbered(kinesis, 1)
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    local.advance(300.0)
    following = kinesis.get_records(ShardIterator=iterator)["NextShardIterator"]
    local.advance(0.001)
    with pytest.raises(kinesis.exceptions.ExpiredIteratorException, match="300000 milliseconds"):
        kinesis.get_records(ShardIterator=iterator)
    assert kinesis.get_records(ShardIterator=following)["Records"] == []


def test_an_iterator_that_we_did_not_write_is_refused(kinesis: Any, stream: str) -> None:
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    for forged in ("garbage", "A" + iterator[1:] if iterator[0] != "A" else "B" + iterator[1:]):
        with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="ShardIterator"):
            kinesis.get_records(ShardIterator=forged)


def test_an_iterator_serves_its_own_stream_and_region_only(local: Any, kinesis: Any) -> None:
    arns = []
    for name in ("faces", "other"):
        kinesis.create_stream(StreamName=name, ShardCount=1)
        described = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        arns.append(described["StreamARN"])
    iterator = kinesis.get_shard_iterator(
        StreamARN=arns[0], ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert kinesis.get_records(ShardIterator=iterator, StreamARN=arns[0])["Records"] == []
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="stream/other"):
        kinesis.get_records(ShardIterator=iterator, StreamARN=arns[1])
    elsewhere = local.client("us-east-1")
    with pytest.raises(elsewhere.exceptions.ResourceNotFoundException):
        elsewhere.get_records(ShardIterator=iterator)
    kinesis.delete_stream(StreamName="faces")
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.get_records(ShardIterator=iterator)


@pytest.mark.parametrize(
    ("code", "request_", "words"),
    [
        ("ResourceNotFoundException",
         {"ShardId": "shardId-000000000001", "ShardIteratorType": "LATEST"},
         "shardId-000000000001"),
        ("ResourceNotFoundException", {"StreamName": "new", "ShardIteratorType": "LATEST"}, "new"),
        ("InvalidArgumentException", {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
         "AT_SEQUENCE_NUMBER without"),
        ("InvalidArgumentException",
         {"ShardIteratorType": "LATEST", "StartingSequenceNumber": "0"}, "LATEST with"),
        ("InvalidArgumentException",
         {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "12"},
         "StartingSequenceNumber 12"),
        ("InvalidArgumentException", {"ShardIteratorType": "AT_TIMESTAMP"}, "Timestamp"),
        ("InvalidArgumentException",
         {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": datetime(2040, 1, 1, tzinfo=UTC)},
         "future"),
        ("ClientError", {"ShardIteratorType": "SOMEWHERE"}, "SOMEWHERE"),
        ("DryRunOperationException", {"ShardIteratorType": "LATEST", "DryRun": True}, "DryRun"),
    ],
)  # fmt: skip
def test_an_iterator_that_cannot_be_is_refused(
    kinesis: Any, stream: str, code: str, request_: dict[str, Any], words: str
) -> None:
    expected = getattr(kinesis.exceptions, code)
    with pytest.raises(expected, match=words):
        kinesis.get_shard_iterator(**{"StreamName": stream, "ShardId": SHARD, **request_})


# --- limits --------------------------------------------------------------------------------


def test_a_record_may_be_as_large_as_the_stream_allows(
    kinesis: Any, stream: str, read_all: ReadAll
) -> None:
    kinesis.put_record(StreamName=stream, Data=bytes(MIB - 3), PartitionKey="cam")
    too_large = {"Data": bytes(MIB - 2), "PartitionKey": "cam"}
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="1048577 bytes"):
        kinesis.put_record(StreamName=stream, **too_large)
    small = {"Data": b"", "PartitionKey": "cam"}
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="1048577 bytes"):
        kinesis.put_records(StreamName=stream, Records=[small, too_large])
    assert len(read_all(kinesis, stream)) == 1
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"][
        "StreamARN"
    ]
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2048)
    kinesis.put_records(StreamName=stream, Records=[small, too_large])
    assert len(read_all(kinesis, stream)) == 3


def test_one_answer_carries_10_mib_and_the_next_goes_on(kinesis: Any, stream: str) -> None:
    for _ in range(2):
        kinesis.put_records(
            StreamName=stream,
            Records=[{"Data": bytes(MIB - 1), "PartitionKey": "c"} for _ in range(6)],
        )
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    first = kinesis.get_records(ShardIterator=iterator)
    second = kinesis.get_records(ShardIterator=first["NextShardIterator"])
    assert [len(page["Records"]) for page in (first, second)] == [10, 2]


def test_a_request_larger_than_10_mib_is_refused(
    kinesis: Any, stream: str, read_all: ReadAll
) -> None:
    records = [{"Data": bytes(MIB - 1), "PartitionKey": "c"} for _ in range(10)]
    records.append({"Data": b"", "PartitionKey": "c"})
    with pytest.raises(kinesis.exceptions.InvalidArgumentException, match="10485761 bytes"):
        kinesis.put_records(StreamName=stream, Records=records)
    assert read_all(kinesis, stream) == []


def test_more_than_500_records_are_refused(kinesis: Any, stream: str, read_all: ReadAll) -> None:
    with pytest.raises(kinesis.exceptions.ClientError, match="500") as refusal:
        put_numbered(kinesis, 501)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    put_numbered(kinesis, 500)
    assert len(read_all(kinesis, stream)) == 500


def test_the_previous_number_may_be_named_and_nothing_else(
    kinesis: Any, stream: str, read_all: ReadAll
) -> None:
    before = kinesis.put_record(StreamName=stream, Data=b"0", PartitionKey="cam")
    kinesis.put_record(
        StreamName=stream, Data=b"1", PartitionKey="cam",
        SequenceNumberForOrdering=before["SequenceNumber"],
    )  # fmt: skip
    for number in ("7", str(int(before["SequenceNumber"]) + 2**80)):
        with pytest.raises(kinesis.exceptions.InvalidArgumentException, match=number):
            kinesis.put_record(
                StreamName=stream, Data=b"2", PartitionKey="cam", SequenceNumberForOrdering=number
            )
    assert numbers(read_all(kinesis, stream)) == [0, 1]


@pytest.mark.parametrize(
    ("code", "request_", "words"),
    [
        ("ResourceNotFoundException", {"StreamName": "new"}, "new"),
        ("InvalidArgumentException", {"ExplicitHashKey": str(2**128)}, str(2**128)),
        ("ClientError", {"ExplicitHashKey": "-1"}, "-1"),
        ("ClientError", {"PartitionKey": "k" * 257}, "256"),
        ("ClientError", {"PartitionKey": "\ud800"}, "Unicode"),
        ("InvalidArgumentException", {"PartitionKey": None}, "PartitionKey"),
        ("DryRunOperationException", {"DryRun": True}, "DryRun"),
    ],
)
def test_a_put_that_cannot_be_is_refused_and_stores_nothing(
    kinesis: Any, stream: str, read_all: ReadAll, code: str, request_: dict[str, Any], words: str
) -> None:
    request = {"StreamName": stream, "Data": b"", "PartitionKey": "cam", **request_}
    request = {name: value for name, value in request.items() if value is not None}
    with pytest.raises(getattr(kinesis.exceptions, code), match=words):
        kinesis.put_record(**request)
    assert read_all(kinesis, stream) == []
