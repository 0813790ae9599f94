"""What is known of video and data streams, asked through the public APIs. Prints nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamproc.cli.access import CLIENT_CONFIG, Access
from streamproc.cli.resources import data_stream_names, video_streams


@dataclass(frozen=True, slots=True)
class Kept:
    """What a video stream has on disk now."""

    fragments: int
    bytes: int
    seconds: float  # of video

    def members(self) -> dict[str, Any]:
        return {
            "Fragments": self.fragments,
            "SizeInBytes": self.bytes,
            "LengthInSeconds": round(self.seconds, 3),
        }


async def all_streams(access: Access) -> dict[str, list[dict[str, Any]]]:
    """VideoStreams as StreamInfo of Kinesis Video, DataStreams as StreamDescriptionSummary."""
    async with access.clients.open("kinesis", access.region, **CLIENT_CONFIG) as client:
        names = await data_stream_names(access)
        data = [await client.describe_stream_summary(StreamName=name) for name in names]
    return {
        "VideoStreams": await video_streams(access),
        "DataStreams": [answer["StreamDescriptionSummary"] for answer in data],
    }


async def video_stream(access: Access, name: str) -> dict[str, Any]:
    """StreamInfo."""
    async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as client:
        return dict((await client.describe_stream(StreamName=name))["StreamInfo"])


async def data_stream(access: Access, name: str) -> dict[str, Any]:
    """StreamDescriptionSummary."""
    async with access.clients.open("kinesis", access.region, **CLIENT_CONFIG) as client:
        answer = await client.describe_stream_summary(StreamName=name)
        return dict(answer["StreamDescriptionSummary"])


async def kept_video(access: Access, name: str, told: Callable[[int], None]) -> Kept:
    """Counts through the index of fragments, a thousand at a time; told how many so far. No
    operation tells a stream's size."""
    async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as control:
        answer = await control.get_data_endpoint(StreamName=name, APIName="LIST_FRAGMENTS")
    fragments, size, milliseconds = 0, 0, 0
    async with access.clients.open(
        "kinesis-video-archived-media",
        access.region,
        endpoint_url=answer["DataEndpoint"],
        **CLIENT_CONFIG,
    ) as archive:
        pages = archive.get_paginator("list_fragments").paginate(StreamName=name)
        async for page in pages:
            fragments += len(page["Fragments"])
            size += sum(each["FragmentSizeInBytes"] for each in page["Fragments"])
            milliseconds += sum(each["FragmentLengthInMilliseconds"] for each in page["Fragments"])
            told(fragments)
    return Kept(fragments, size, milliseconds / 1000)
