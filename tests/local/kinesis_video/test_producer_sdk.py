"""What Amazon's own producer SDK (kvssink) does on the wire, in its order."""

import asyncio
import hashlib
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.local.kinesis_video.support import (
    END_OF_FRAGMENT,
    HEADER,
    Producer,
    VideoService,
    cluster,
)

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "token")
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
REGION = "eu-central-1"


class EmptyPayload(SigV4Auth):  # type: ignore[misc]
    """The C and C++ SDK sign the hash of no bytes and do not send it."""

    def payload(self, request: Any) -> str:
        return EMPTY_HASH


class EmptyPayloadQuery(SigV4QueryAuth):  # type: ignore[misc]
    """Clients written in Go presign the URL."""

    def payload(self, request: Any) -> str:
        return EMPTY_HASH


class UnsignedPayload(SigV4Auth):  # type: ignore[misc]
    """The Java SDK says so in a header."""

    def payload(self, request: Any) -> str:
        return "UNSIGNED-PAYLOAD"


def put_media_headers(name: str) -> dict[str, str]:
    return {
        "x-amzn-stream-name": name,
        "x-amzn-fragment-timecode-type": "ABSOLUTE",
        "x-amzn-producer-start-timestamp": "1600994737.5",
        "x-amzn-fragment-acknowledgment-required": "1",
        "content-type": "application/json",
        "Host": "127.0.0.1",  # without the port
    }


async def post(video: VideoService, path: str, members: str) -> tuple[int, dict[str, Any]]:
    """A control-plane call with the SDK's own headers."""
    request = AWSRequest(
        "POST", f"{video.url}/{path}", data=members, headers={"content-type": "application/json"}
    )
    SigV4Auth(CREDENTIALS, "kinesisvideo", REGION).add_auth(request)
    async with (
        aiohttp.ClientSession() as session,
        session.post(request.url, data=members, headers=dict(request.headers)) as response,
    ):
        assert response.headers["x-amzn-RequestId"]
        return response.status, await response.json(content_type=None)


async def test_kvssinks_sequence_of_calls(video: VideoService) -> None:
    status, answer = await post(video, "describeStream", '{"StreamName":"cam"}')
    assert status == 404  # any other status would be retried, not answered by creating it
    assert "cam" in answer["Message"]
    status, created = await post(
        video,
        "createStream",
        '{"DeviceName":"Kinesis_Video_Device","StreamName":"cam","MediaType":"video/h264",'
        '"DataRetentionInHours":2}',
    )
    assert status == 200
    arn = created["StreamARN"]
    assert f":{REGION}:" in arn
    status, _ = await post(video, "tagStream", f'{{"StreamARN":"{arn}","Tags":{{"a":"b"}}}}')
    assert status == 200
    status, described = await post(video, "describeStream", '{"StreamName":"cam"}')
    assert described["StreamInfo"]["Status"] == "ACTIVE"
    status, endpoint = await post(
        video, "getDataEndpoint", '{"StreamName":"cam","APIName":"PUT_MEDIA"}'
    )
    assert endpoint == {"DataEndpoint": video.url}
    headers = put_media_headers("cam")
    request = AWSRequest("POST", endpoint["DataEndpoint"] + "/putMedia", headers=headers)
    EmptyPayload(CREDENTIALS, "kinesisvideo", REGION).add_auth(request)
    async with Producer().connect(endpoint["DataEndpoint"], dict(request.headers)) as producer:
        producer.send(HEADER, cluster(1600994737365), cluster(1600994738365), END_OF_FRAGMENT)
        # It waits for the last fragment with the body open.
        acks = [await producer.until("PERSISTED") for _ in range(2)]
        producer.end()
        await producer.rest()
    assert [ack["FragmentTimecode"] for ack in acks] == [1600994737365, 1600994738365]


@pytest.mark.parametrize("auth", [EmptyPayload, UnsignedPayload, EmptyPayloadQuery])
async def test_each_way_to_sign_is_accepted(video: VideoService, auth: Any) -> None:
    client = video.client("kinesisvideo", REGION)
    await asyncio.to_thread(client.create_stream, StreamName="cam", DataRetentionInHours=1)
    request = AWSRequest("POST", f"{video.url}/putMedia", headers=put_media_headers("cam"))
    if auth is UnsignedPayload:
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    auth(CREDENTIALS, "kinesisvideo", REGION).add_auth(request)
    query = request.url.partition("?")[2]
    async with Producer().connect(f"{video.url}", dict(request.headers), _pairs(query)) as producer:
        assert producer.response.status == 200
        producer.send(HEADER, cluster(0))
        producer.end()
        acks = await producer.rest()
    assert [ack["EventType"] for ack in acks] == ["BUFFERING", "RECEIVED", "PERSISTED"]


async def test_a_session_on_an_unknown_stream_is_refused_before_its_body(
    video: VideoService,
) -> None:
    async with Producer().connect(video.url, put_media_headers("none")) as producer:
        assert producer.response.status == 404
        assert producer.response.headers["x-amzn-ErrorType"].startswith("ResourceNotFound")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-amzn-fragment-timecode-type", "LATER"),
        ("x-amzn-producer-start-timestamp", "-1"),
        ("x-amzn-stream-arn", "arn:aws:kinesisvideo:us-east-1:111122223333:stream/cam/1"),
    ],
)
async def test_a_wrong_header_is_named(video: VideoService, header: str, value: str) -> None:
    await video.create()
    async with Producer().connect(
        video.url, {**put_media_headers("cam"), header: value}
    ) as producer:
        assert producer.response.status == 400
        answer = await producer.response.json(content_type=None)
    assert header in answer["Message"] or "FragmentTimecodeType" in answer["Message"]


def _pairs(query: str) -> dict[str, str] | None:
    return dict(parse_qsl(query)) or None
