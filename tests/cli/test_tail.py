"""tail as a person reads it, and its reading of shards."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import typer
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from streamproc.cli.access import find_access
from streamproc.cli.face_lines import face_line
from streamproc.cli.shards import read_records
from streamproc.cli.tail import tail
from streamproc.errors import StreamprocError
from tests.cli.embedded import embedded_services

app = typer.Typer()
app.command()(tail)
AT_S = 1_700_000_000.25


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_services(tmp_path_factory.mktemp("services")) as address:
        yield address


@pytest.fixture(scope="module")
def kinesis(url: str) -> Any:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client("kinesis", endpoint_url=url, region_name="us-east-1", **keys)


@pytest.fixture
def stream(kinesis: Any, request: pytest.FixtureRequest) -> str:
    name: str = request.node.name[:60].replace("[", "-").replace("]", "")
    kinesis.create_stream(StreamName=name, ShardCount=2)
    return name


def record(*who: str | None, producer_s: float | None = AT_S) -> bytes:
    """A face record in which each named face is one known, each None a stranger."""
    faces = [
        {
            "DetectedFace": {},
            "MatchedFaces": [] if name is None else [match("someone else", 71.0), match(name)],
        }
        for name in who
    ]
    video = {"ProducerTimestamp": producer_s, "FrameOffsetInSeconds": 0.5}
    content = {"InputInformation": {"KinesisVideo": video}, "FaceSearchResponse": faces}
    return json.dumps(content).encode()


def match(name: str, similarity: float = 99.34) -> dict[str, Any]:
    return {"Similarity": similarity, "Face": {"FaceId": "f-1", "ExternalImageId": name}}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def put(kinesis: Any, stream: str, *data: bytes) -> None:
    for index, each in enumerate(data):
        kinesis.put_record(StreamName=stream, Data=each, PartitionKey=str(index))


class TestAFaceLine:
    TIME = datetime.fromtimestamp(AT_S + 0.5).astimezone().strftime("%H:%M:%S.") + "750"

    @pytest.mark.parametrize(
        ("data", "line"),
        [
            (record("Ada", None), f"{TIME}  Ada 99.3 %, unknown"),
            (record(), f"{TIME}  nobody"),
            (record("Ada", producer_s=None), "       0.500  Ada 99.3 %"),
            (b'{"another": "record"}', '{"another": "record"}'),
            (b"two\nlines \xff", "two lines \ufffd"),
            (b"[1]", "[1]"),
            (b"x" * 1000, "x" * 199 + "\u2026"),
        ],
    )
    def test_says_when_who_and_how_surely(self, data: bytes, line: str) -> None:
        assert face_line(data) == line

    def test_names_a_face_without_a_name_by_its_id(self) -> None:
        assert face_line(record("")).endswith("f-1 99.3 %")


def test_all_there_is_can_be_shown(url: str, kinesis: Any, stream: str) -> None:
    put(kinesis, stream, record("Ada"), record(None), record("Grace"))
    result = run(
        stream, "--endpoint-url", url, "--region", "us-east-1",
        "--from", "trim-horizon", "--limit", "3",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    who = [line.split("  ")[1] for line in result.stdout.splitlines()]
    assert who == ["Ada 99.3 %", "unknown", "Grace 99.3 %"]


def test_json_is_every_record_as_it_is(url: str, kinesis: Any, stream: str) -> None:
    put(kinesis, stream, record("Ada"), b"anything")
    result = run(
        stream, "--endpoint-url", url, "--region", "us-east-1", "--json",
        "--from", "trim-horizon", "--limit", "2",
    )  # fmt: skip
    assert result.stdout.splitlines() == [record("Ada").decode(), "anything"]


def test_a_stream_that_does_not_exist_is_one_line(url: str) -> None:
    result = run("absent", "--endpoint-url", url, "--region", "us-east-1")
    assert isinstance(result.exception, StreamprocError)
    assert "absent" in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_reader_that_leaves_ends_it_without_a_word(url: str, kinesis: Any, stream: str) -> None:
    put(kinesis, stream, record("Ada"))
    process = subprocess.Popen(
        [sys.executable, "-m", "streamproc", "tail", stream, "--from", "trim-horizon",
         "--endpoint-url", url, "--region", "us-east-1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"Ada 99.3 %" in process.stdout.readline()  # each line comes at once
        process.stdout.close()
        put(kinesis, stream, record("Grace"))
        assert process.wait(20) == 0
        assert process.stderr.read() == b""
        process.stderr.close()
    finally:
        process.kill()
        process.wait()


async def test_latest_is_what_comes_from_now_on(url: str, kinesis: Any, stream: str) -> None:
    put(kinesis, stream, b"old")
    reading = asyncio.Event()

    class Watched:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            if name == "get_records":
                reading.set()
            return getattr(self._client, name)

    async def first() -> bytes:
        access = await find_access(url, "us-east-1")
        async with (
            access.clients.open("kinesis", "us-east-1") as client,
            aclosing(read_records(Watched(client), stream, from_start=False)) as records,
        ):
            record = await anext(records)
            data: bytes = record["Data"]
            return data

    task = asyncio.create_task(first())
    await asyncio.wait_for(reading.wait(), 60)
    await asyncio.to_thread(put, kinesis, stream, b"new")
    assert await asyncio.wait_for(task, 60) == b"new"


class ScriptedKinesis:
    """Two shards that were merged into a third, with trouble on the way."""

    SHARDS = (
        {"ShardId": "a", "SequenceNumberRange": {"EndingSequenceNumber": "9"}},
        {"ShardId": "b", "SequenceNumberRange": {"EndingSequenceNumber": "9"}},
        {
            "ShardId": "c",
            "SequenceNumberRange": {},
            "ParentShardId": "a",
            "AdjacentParentShardId": "b",
        },
    )

    def __init__(self) -> None:
        self.trouble = ["ExpiredIteratorException", "ProvisionedThroughputExceededException"]
        self.opened: list[tuple[str, ...]] = []

    async def list_shards(self, **request: str) -> dict[str, Any]:
        if "NextToken" not in request:
            return {"Shards": self.SHARDS[:1], "NextToken": "more"}
        return {"Shards": self.SHARDS[1:]}

    async def get_shard_iterator(self, **request: str) -> dict[str, Any]:
        place = (request["ShardId"], request["ShardIteratorType"])
        after = request.get("StartingSequenceNumber", "0")
        self.opened.append((*place, after))
        return {"ShardIterator": f"{request['ShardId']} {after}"}

    async def get_records(self, ShardIterator: str) -> dict[str, Any]:
        shard, after = ShardIterator.split()
        if after == "1" and self.trouble:
            answer = {"Error": {"Code": self.trouble.pop(0), "Message": "no"}}
            raise ClientError(answer, "GetRecords")
        number = int(after) + 1
        arrival = datetime.fromtimestamp(number * 10 + ord(shard), UTC)
        data = f"{shard}{number}".encode()
        page: dict[str, Any] = {
            "Records": [
                {
                    "Data": data,
                    "SequenceNumber": str(number),
                    "ApproximateArrivalTimestamp": arrival,
                }
            ],
            "NextShardIterator": f"{shard} {number}" if number < 3 else None,
        }
        if number == 3 and shard != "c":
            page["ChildShards"] = [{"ShardId": "c"}]
        return page


@pytest.mark.parametrize("from_start", [True, False])
async def test_shards_are_read_to_their_end_and_on_into_their_children(from_start: bool) -> None:
    client = ScriptedKinesis()
    seen = [
        each["Data"].decode() async for each in read_records(client, "s", from_start=from_start)
    ]
    if from_start:
        assert sorted(seen) == ["a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3"]
        assert seen.index("c1") > max(seen.index("a3"), seen.index("b3")) - 2
        assert ("c", "TRIM_HORIZON", "0") in client.opened
        assert ("a", "AFTER_SEQUENCE_NUMBER", "1") in client.opened  # its iterator had expired
    else:
        assert seen == ["c1", "c2", "c3"]
        assert client.opened[0] == ("c", "LATEST", "0")
