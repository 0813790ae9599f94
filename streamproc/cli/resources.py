"""What exists, by name: for completion, and for who mistyped one.

Lists through the public API, except jobs, which Rekognition does not list.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from streamproc.cli.access import CLIENT_CONFIG, Access
from streamproc.cli.nearest import unknown
from streamproc.cli.own_operations import OperationRefused, listed
from streamproc.errors import StreamprocError

T = TypeVar("T")

Names: TypeAlias = Callable[[Access], Awaitable[list[str]]]

MISSING = "ResourceNotFoundException"
"""What every service answers for a name that it does not know."""


async def processor_names(access: Access) -> list[str]:
    found = await listed(access, "ListStreamProcessors", "StreamProcessors")
    return [processor["Name"] for processor in found]


async def collection_ids(access: Access) -> list[str]:
    return [str(each) for each in await listed(access, "ListCollections", "CollectionIds")]


async def job_ids(access: Access) -> list[str]:
    return [job["JobId"] for job in await listed(access, "ListStreamprocJobs", "Jobs")]


async def video_streams(access: Access) -> list[dict[str, Any]]:
    """StreamInfo of every one, as Kinesis Video's ListStreams has it."""
    async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as client:
        pages = client.get_paginator("list_streams").paginate()
        return [info async for page in pages for info in page["StreamInfoList"]]


async def video_stream_names(access: Access) -> list[str]:
    return [info["StreamName"] for info in await video_streams(access)]


async def data_stream_names(access: Access) -> list[str]:
    async with access.clients.open("kinesis", access.region, **CLIENT_CONFIG) as client:
        pages = client.get_paginator("list_streams").paginate()
        return [name async for page in pages for name in page["StreamNames"]]


async def known(
    work: Awaitable[T],
    kind: str,
    name: str,
    access: Access,
    names: Names,
    otherwise: str,
) -> T:
    """What the work gives; where a service does not find the name, an error that says what there
    is instead.

    Raises StreamprocError in place of the service's ResourceNotFoundException.
    """
    from botocore.exceptions import ClientError

    try:
        return await work
    except (OperationRefused, ClientError) as error:
        if code_of(error) != MISSING:
            raise
        raise await nearest(error, kind, name, access, names, otherwise) from None


async def nearest(
    missing: Exception, kind: str, name: str, access: Access, names: Names, otherwise: str
) -> Exception:
    """The error to raise instead of a service's that it does not find the name."""
    from botocore.exceptions import ClientError

    try:
        existing = await names(access)
    except (StreamprocError, ClientError):  # who may not list has to do with the answer
        return missing
    if name in existing:  # it is something else that is missing
        return missing
    return unknown(kind, name, existing, otherwise)


def code_of(error: Exception) -> str:
    """Of an error that a service answered."""
    if isinstance(error, OperationRefused):
        return error.code
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code"))
