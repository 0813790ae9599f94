"""moto's Kinesis, written by others, says where a record belongs; ours agrees."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_kinesis(moto_url: str, session: boto3.Session) -> Any:
    return session.client(
        "kinesis", region_name="eu-west-1", endpoint_url=moto_url,
        aws_access_key_id="any", aws_secret_access_key="any",
    )  # fmt: skip


@pytest.mark.parametrize("shards", [1, 3, 7, 64])
def test_every_key_goes_to_the_shard_that_moto_chooses(
    kinesis: Any, moto_kinesis: Any, shards: int
) -> None:
    records: list[dict[str, Any]] = [
        {"Data": b"", "PartitionKey": f"caméra-{number}"} for number in range(400)
    ]
    records += [
        {"Data": b"", "PartitionKey": "same", "ExplicitHashKey": str(number * 2**122)}
        for number in range(64)
    ]
    chosen, ranges = [], []
    for client in (kinesis, moto_kinesis):
        client.create_stream(StreamName=f"faces{shards}", ShardCount=shards)
        listed = client.list_shards(StreamName=f"faces{shards}")["Shards"]
        ranges.append([(shard["ShardId"], shard["HashKeyRange"]) for shard in listed])
        answer = client.put_records(StreamName=f"faces{shards}", Records=records)
        chosen.append([record["ShardId"] for record in answer["Records"]])
    assert ranges[0] == ranges[1]
    assert chosen[0] == chosen[1]
    assert len(set(chosen[0])) == shards
