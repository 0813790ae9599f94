"""What a processor needs and may not be there yet: its two streams, its collection.

Each function makes sure of one and tells what it made. Makes nothing that it was not asked to.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from streamproc.cli.access import CLIENT_CONFIG, Access
from streamproc.cli.own_operations import OperationRefused, call
from streamproc.cli.resources import (
    MISSING,
    code_of,
    collection_ids,
    data_stream_names,
    nearest,
    video_stream_names,
)
from streamproc.errors import StreamprocError

Told: TypeAlias = Callable[[str], None]

_ACTIVE_TRIES, _ACTIVE_PAUSE_S = 60, 1.0  # a new stream takes AWS some seconds
_CREATE = "--create makes it"
RETENTION_H = 24
"""Of a video stream that is made on the way; without any, nothing could be read again."""


async def ensure_video_stream(
    access: Access, name: str, *, create: bool, told: Told, retention_hours: int = RETENTION_H
) -> str:
    """The ARN of the stream, ACTIVE. retention_hours are of one that is made."""
    from botocore.exceptions import ClientError

    async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as client:

        async def described() -> dict[str, Any]:
            return dict((await client.describe_stream(StreamName=name))["StreamInfo"])

        try:
            info = await described()
        except ClientError as error:
            if code_of(error) != MISSING:
                raise
            if not create:
                raise await nearest(
                    error, "video stream", name, access, video_stream_names, _CREATE
                ) from None
            await client.create_stream(StreamName=name, DataRetentionInHours=retention_hours)
            keeps = f"{retention_hours} hours" if retention_hours else "nothing"
            told(f"made the video stream {name}, which keeps {keeps}")
            info = await described()
        for _ in range(_ACTIVE_TRIES):
            if info["Status"] == "ACTIVE":
                return str(info["StreamARN"])
            await asyncio.sleep(_ACTIVE_PAUSE_S)
            info = await described()
    raise _not_active("video", name, info["Status"])


async def ensure_data_stream(access: Access, name: str, *, create: bool, told: Told) -> str:
    """The ARN of the stream, ACTIVE."""
    from botocore.exceptions import ClientError

    async with access.clients.open("kinesis", access.region, **CLIENT_CONFIG) as client:

        async def described() -> dict[str, Any]:
            answer = await client.describe_stream_summary(StreamName=name)
            return dict(answer["StreamDescriptionSummary"])

        try:
            info = await described()
        except ClientError as error:
            if code_of(error) != MISSING:
                raise
            if not create:
                raise await nearest(
                    error, "data stream", name, access, data_stream_names, _CREATE
                ) from None
            await client.create_stream(StreamName=name, ShardCount=1)
            told(f"made the data stream {name}")
            info = await described()
        for _ in range(_ACTIVE_TRIES):
            if info["StreamStatus"] in {"ACTIVE", "UPDATING"}:
                return str(info["StreamARN"])
            await asyncio.sleep(_ACTIVE_PAUSE_S)
            info = await described()
    raise _not_active("data", name, info["StreamStatus"])


async def ensure_collection(
    access: Access, collection_id: str, *, create: bool, told: Told
) -> None:
    try:
        await call(access, "DescribeCollection", {"CollectionId": collection_id})
    except OperationRefused as error:
        if error.code != MISSING:
            raise
        if not create:
            raise await nearest(
                error, "collection", collection_id, access, collection_ids, _CREATE
            ) from None
        await call(access, "CreateCollection", {"CollectionId": collection_id})
        told(f"made the collection {collection_id}")


def _not_active(kind: str, name: str, status: str) -> StreamprocError:
    return StreamprocError(f"the {kind} stream {name} is {status}, not ACTIVE; try again later")
