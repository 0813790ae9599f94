"""A full disk refuses puts, loses none that it took, and heals by itself."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from streamproc.db import settings
from tests.local.kinesis_data.conftest import LocalKinesis
from tests.small_disk import SmallDisk, small_disk

SHARD = "shardId-000000000000"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def put_until_full(kinesis: Any) -> tuple[list[bytes], ClientError]:
    """The records that were acknowledged, and the error of the first that was not."""
    taken: list[bytes] = []
    for number in range(4000):
        data = [b"%d.%d" % (number, part) + bytes(20_000) for part in range(3)]
        records = [{"Data": one, "PartitionKey": "cam"} for one in data]
        try:
            answer = kinesis.put_records(StreamName="faces", Records=records)
        except ClientError as error:
            return taken, error
        assert answer["FailedRecordCount"] == 0
        taken += data
    raise AssertionError("the disk was never full")


def check_told(error: ClientError) -> None:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    assert status == 500, "clients try this again"
    assert error.response["Error"]["Code"] == "InternalFailureException"
    assert "full); free space on its disk. Nothing of the change was kept" in str(error)


def test_nothing_is_acknowledged_that_is_not_on_disk(
    disk: SmallDisk, session: boto3.Session, read_all: Callable[..., list[dict[str, Any]]]
) -> None:
    with closing(LocalKinesis(disk.folder / "data.db", session)) as local:
        kinesis = local.client()
        kinesis.create_stream(StreamName="faces", ShardCount=1)
        kinesis.put_record(StreamName="faces", Data=b"first", PartitionKey="cam")
        disk.fill()
        taken, error = put_until_full(kinesis)
        check_told(error)
        stored = [record["Data"] for record in read_all(kinesis, "faces", SHARD)]
        assert stored == [b"first", *taken]
        with pytest.raises(ClientError, match="free space"):
            kinesis.create_stream(StreamName="more", ShardCount=400)
        assert kinesis.list_streams()["StreamNames"] == ["faces"]

        disk.free()
        kinesis.put_record(StreamName="faces", Data=b"last", PartitionKey="cam")
        stored = [record["Data"] for record in read_all(kinesis, "faces", SHARD)]
        assert stored == [b"first", *taken, b"last"]


def test_a_file_that_may_not_grow_refuses_in_the_same_way(
    local: LocalKinesis,
    read_all: Callable[..., list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the right to mount."""
    local.client().create_stream(StreamName="faces", ShardCount=1)
    local.stop()
    with monkeypatch.context() as small:
        small.setattr(settings, "PRAGMAS", (*settings.PRAGMAS, "max_page_count=200"))
        local.start()
        taken, error = put_until_full(local.client())
        check_told(error)
        assert taken
        local.stop()
    local.start()
    local.client().put_record(StreamName="faces", Data=b"last", PartitionKey="cam")
    stored = [record["Data"] for record in read_all(local.client(), "faces", SHARD)]
    assert stored == [*taken, b"last"]
