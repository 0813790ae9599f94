"""Requests of every kind against a live daemon: never a 500, never a hang, and it lives on.

Each batch ends with a good request that must be answered well, and with a look at the daemon's
memory and log.
"""

import contextlib
import http.client
import json
import re
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from streamproc.api import rekognition
from streamproc.local import kinesis_data, kinesis_video
from tests.conftest import DaemonProcess
from tests.fuzz.requests import ARN, RAW, Known, Request, RequestMaker
from tests.fuzz.tally import Tally

TIMEOUT_S = 60.0
GROWTH_MB_MAX = 400
"""Of the daemon's memory over a run: caches fill, and what a stream keeps for followers."""
_BATCH = 250
_RAW_PART = 0.03
SERVICES = (
    rekognition, kinesis_data.service, kinesis_video.control, kinesis_video.media,
    kinesis_video.archived,
)  # fmt: skip


def known(daemon: DaemonProcess) -> Known:
    """Make one of everything, so that requests get past "no such thing"."""
    rekognition_, kinesis = daemon.client("rekognition"), daemon.client("kinesis")
    video = daemon.client("kinesisvideo")
    with contextlib.suppress(rekognition_.exceptions.ResourceAlreadyExistsException):
        rekognition_.create_collection(CollectionId="people")
    with contextlib.suppress(kinesis.exceptions.ResourceInUseException):
        kinesis.create_stream(StreamName="cam", ShardCount=1)
    with contextlib.suppress(video.exceptions.ResourceInUseException):
        video.create_stream(StreamName="cam", DataRetentionInHours=1)
    shard = kinesis.list_shards(StreamName="cam")["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(
        StreamName="cam", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    video_arn = video.describe_stream(StreamName="cam")["StreamInfo"]["StreamARN"]
    data_arn = ARN.format("kinesis", "stream/cam")
    names = ["cam", "people", "fuzz", "nobody"]
    return Known(
        {
            "Name": [*names, "object.jpg"], "StreamName": ["cam", "fuzz"], "CollectionId": names,
            "CollectionIds": names, "StreamARN": [video_arn, data_arn], "ShardId": [shard],
            "ShardIterator": [iterator], "RoleArn": [ARN.format("iam", "role/any")],
            "KinesisVideoStream": [{"Arn": video_arn}], "KinesisDataStream": [{"Arn": data_arn}],
            "FaceSearch": [{"CollectionId": "people", "FaceMatchThreshold": 80}],
            "UserId": ["fuzz", "user"], "APIName": ["GET_MEDIA", "PUT_MEDIA", "LIST_FRAGMENTS"],
            "ResourceArn": [data_arn, ARN.format("rekognition", "streamprocessor/cam")],
            "ResourceARN": [data_arn, video_arn], "FaceIds": [[str(uuid.UUID(int=0))]],
            "S3Object": [{"Bucket": "clips", "Name": "a.mp4"}], "PartitionKey": ["p"],
            "FragmentNumber": ["1" * 47], "Fragments": [["1" * 47]], "ShardCount": [1, 2],
            "StartSelectorType": ["EARLIEST", "NOW"], "FragmentTimecodeType": ["RELATIVE"],
        }
    )  # fmt: skip


class Visitor:
    """One client with one connection, which it opens anew whenever it is closed."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, request: Request) -> tuple[int, bytes]:
        """Status and body; of an answer that may go on for ever, the status alone."""
        for attempt in (1, 2):
            fresh = self._connection is None
            connection = self._connection = self._connection or http.client.HTTPConnection(
                self._netloc, timeout=TIMEOUT_S
            )
            try:
                self._send(connection, request)
                answer = connection.getresponse()
                if request.streams and answer.status == 200:
                    self.close()
                    return 200, b""
                body = answer.read()
                if answer.will_close:
                    self.close()
                return answer.status, body
            except (http.client.HTTPException, ConnectionError) as error:
                # One that was kept open may have been closed at any time; a new one may not.
                self.close()
                if fresh or attempt == 2:
                    return 0, repr(error).encode()
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @staticmethod
    def _send(connection: http.client.HTTPConnection, request: Request) -> None:
        connection.putrequest(
            request.method, "/", skip_host="Host" in request.headers, skip_accept_encoding=True
        )
        # The library refuses what a person with a socket would send.
        line = f"{request.method} {request.path} HTTP/1.1"
        buffer: list[bytes] = connection._buffer  # type: ignore[attr-defined]
        buffer[0] = line.encode("utf-8", "replace")
        for name, value in {**request.headers, "Content-Length": str(len(request.body))}.items():
            buffer.append(f"{name}: {value}".encode("utf-8", "replace"))
        connection.endheaders(request.body)

    def raw(self, data: bytes) -> bytes:
        """Send these bytes and no more; everything that comes back until the end."""
        host, _, port = self._netloc.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as peer:
            answer = b""
            try:
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                while block := peer.recv(65_536):
                    answer += block
            except ConnectionError:
                pass
            return answer


def fuzz(daemon: DaemonProcess, seed: int, inputs: int, seconds: float) -> Tally:
    tally = Tally("gateway", seed)
    chance = Random(seed)
    visitor = Visitor(daemon.url)
    deadline = time.monotonic() + seconds
    before_mb = memory_mb(daemon)
    logged = 0
    while tally.inputs < inputs and time.monotonic() < deadline:
        maker = RequestMaker(SERVICES, known(daemon), chance)
        for _ in range(min(_BATCH, inputs - tally.inputs)):
            if chance.random() < _RAW_PART:
                _try_raw(visitor, chance, tally)
            else:
                _try(visitor, maker.request(chance.randrange(10_000)), tally)
            if daemon.process is None or daemon.process.poll() is not None:
                tally.found("the daemon has ended", daemon.log[-2000:])
                return tally
        logged = _look_around(daemon, tally, logged)
    visitor.close()
    tally.memory_mb = memory_mb(daemon, peak=True)
    if (grown := memory_mb(daemon) - before_mb) > GROWTH_MB_MAX:
        tally.found(f"memory grew by {grown} MB", "")
    return tally


def _try(visitor: Visitor, request: Request, tally: Tally) -> None:
    try:
        with tally.timed():
            status, body = visitor.ask(request)
    except TimeoutError:
        visitor.close()
        tally.found(f"{request.told}: no answer in {TIMEOUT_S:.0f} s", repr(request)[:2000])
        return
    except Exception as error:  # the fuzzer's own mistake, too, is worth being told
        visitor.close()
        tally.found(f"{request.told}: {error!r}", repr(request)[:2000])
        return
    if 200 <= status < 300:
        tally.accepted += 1
    elif 400 <= status < 500:
        tally.refuse(_code(status, body))
    else:
        tally.found(f"{request.told}: {status} {body[:300]!r}", repr(request)[:2000])


def _try_raw(visitor: Visitor, chance: Random, tally: Tally) -> None:
    data = chance.choice(RAW)
    try:
        with tally.timed():
            answer = visitor.raw(data)
    except TimeoutError:
        tally.found(f"raw bytes: no end in {TIMEOUT_S:.0f} s", repr(data)[:500])
        return
    if re.match(rb"HTTP/1.\d 5", answer):
        tally.found(f"raw bytes: {answer[:100]!r}", repr(data)[:500])
    tally.refuse("no HTTP")


def _code(status: int, body: bytes) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        answer: Any = json.loads(body)
        return str(answer.get("__type") or answer.get("Code") or status)
    return str(status)


def _look_around(daemon: DaemonProcess, tally: Tally, logged: int) -> int:
    """After a batch: it answers well, and nothing failed behind an answer."""
    answer = daemon.client("rekognition").list_collections()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    log = daemon.log
    for trace in _traces(log[logged:]):
        tally.found("a traceback in the log", trace)
    return len(log)


def _traces(log: str) -> Iterator[str]:
    for found in re.finditer(r"Traceback", log):
        yield log[max(0, found.start() - 300) : found.start() + 2500]


def memory_mb(daemon: DaemonProcess, *, peak: bool = False) -> int:
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines())
    return int(values["VmHWM" if peak else "VmRSS"].split()[0]) // 1024
