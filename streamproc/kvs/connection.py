"""One way to GetMedia: the endpoint that the control plane names, and a client for it.

Opened when needed and dropped when in doubt. Knows nothing of what is read.
"""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from streamproc.aws import AwsClients
from streamproc.kvs.failures import UnusableAnswer
from streamproc.model.arn import Arn
from streamproc.settings import is_endpoint_url

_CONNECT_TIMEOUT_S = 10.0
# An open GetMedia holds a connection; one more waits for ever when the pool is empty. A
# source has one session at a time; the rest is room for one that is slow to close.
_CONFIG: dict[str, Any] = {
    "connect_timeout": _CONNECT_TIMEOUT_S,
    "max_pool_connections": 4,
    "retries": {"max_attempts": 0},  # the source retries by itself, and says so
}


class Connection:
    """Of one video stream. Close it when done."""

    def __init__(self, clients: AwsClients, stream: Arn, role_arn: str) -> None:
        self.has_served = False  # a GetMedia has been answered, ever
        self._clients = clients
        self._stream = stream
        self._role_arn = role_arn
        self._endpoint_url = ""
        self._client: Any = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.drop()

    async def find_endpoint(self) -> str:
        """The data endpoint, asked for once. Raises UnusableAnswer and what botocore raises."""
        if not self._endpoint_url:
            async with self._clients.open(
                "kinesisvideo", self._stream.region, role_arn=self._role_arn, **_CONFIG
            ) as control:
                answer = await control.get_data_endpoint(
                    StreamARN=str(self._stream), APIName="GET_MEDIA"
                )
            endpoint_url = answer.get("DataEndpoint")
            # What is not JSON at all, such as a login page, counts as an empty answer here.
            if not (isinstance(endpoint_url, str) and is_endpoint_url(endpoint_url)):
                raise UnusableAnswer(
                    f"GetDataEndpoint names the DataEndpoint {endpoint_url!r}, which is no URL; "
                    "is endpoints.kinesisvideo right, and no proxy in between?"
                )
            self._endpoint_url = endpoint_url
        return self._endpoint_url

    async def get_media(self, start_selector: dict[str, Any]) -> Any:
        """The body of a GetMedia, to be closed by the caller. Raises as find_endpoint does."""
        if self._client is None:
            endpoint_url: str | None = await self.find_endpoint()
            if self._clients.is_embedded("kinesis-video-media"):
                endpoint_url = None  # the public address may not lead here
            self._client = await self._open.enter_async_context(
                self._clients.open(
                    "kinesis-video-media",
                    self._stream.region,
                    role_arn=self._role_arn,
                    endpoint_url=endpoint_url,
                    **_CONFIG,
                )
            )
        answer = await self._client.get_media(
            StreamARN=str(self._stream), StartSelector=start_selector
        )
        self.has_served = True
        return answer["Payload"]

    async def drop(self) -> None:
        """Close the client and forget the endpoint; the next call begins anew, with credentials
        of that day."""
        self._client, self._endpoint_url = None, ""
        await self._open.aclose()
