"""Where put-media sends to: the stream, made if that is wanted, and its data endpoint.

Knows the control plane of Kinesis Video; knows nothing of media.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from streamproc.cli.access import CLIENT_CONFIG, Access, find_access
from streamproc.errors import StreamprocError

if TYPE_CHECKING:
    from streamproc.kvs.live import Target

_ACTIVE_TRIES, _ACTIVE_PAUSE_S = 60, 1.0  # a new stream takes AWS some seconds


def target_finder(
    stream: str, endpoint_url: str, region: str | None, create: bool | None
) -> Callable[[], Awaitable["Target"]]:
    """What finds the stream, with the credentials of that moment. create None makes a stream
    that does not exist on this machine only."""

    async def find() -> "Target":
        from streamproc.kvs.live import Target

        access = await find_access(endpoint_url, region)
        wanted = access.is_local if create is None else create
        data_endpoint = await _data_endpoint(access, stream, wanted)
        return Target(data_endpoint, access.region, access.credentials)

    return find


async def _data_endpoint(access: Access, stream: str, create: bool) -> str:
    from botocore.exceptions import ClientError

    async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as control:
        try:
            description = await control.describe_stream(StreamName=stream)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            if not create:
                raise StreamprocError(
                    f"there is no stream {stream} in {access.region} at {access.endpoint_url}; "
                    "--create makes one"
                ) from None
            await control.create_stream(StreamName=stream)
            description = await control.describe_stream(StreamName=stream)
        for _ in range(_ACTIVE_TRIES):
            status = description["StreamInfo"]["Status"]
            if status == "ACTIVE":
                break
            await asyncio.sleep(_ACTIVE_PAUSE_S)
            description = await control.describe_stream(StreamName=stream)
        else:
            raise StreamprocError(f"stream {stream} is {status}, not ACTIVE; try again later")
        answer = await control.get_data_endpoint(StreamName=stream, APIName="PUT_MEDIA")
        return str(answer["DataEndpoint"])
