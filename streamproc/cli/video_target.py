"""Where put-media sends to: the stream, made if that is wanted, and its data endpoint.

Knows the control plane of Kinesis Video; knows nothing of media.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from streamproc.cli.access import CLIENT_CONFIG, Access, find_access
from streamproc.cli.making import ensure_video_stream
from streamproc.cli.output import say

if TYPE_CHECKING:
    from streamproc.kvs.live import Target


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
    def told(line: str) -> None:
        say(line, err=True)

    # Live video passes through: who wants it kept makes the stream with a retention.
    await ensure_video_stream(access, stream, create=create, told=told, retention_hours=0)
    async with access.clients.open("kinesisvideo", access.region, **CLIENT_CONFIG) as control:
        answer = await control.get_data_endpoint(StreamName=stream, APIName="PUT_MEDIA")
        return str(answer["DataEndpoint"])
