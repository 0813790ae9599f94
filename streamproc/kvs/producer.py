"""Send media to a Kinesis video stream: a PutMedia client, which no Python SDK has.

Knows the request, its signature and its answer; knows nothing of Matroska. What is sent, and
at which pace, is the caller's matter (kvs/remux.py).
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Literal

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from streamproc.aws import verification
from streamproc.kvs.acks import Ack, AckParser, PutMediaError

_CONNECT_TIMEOUT_S = 10.0
_LAST_ACKS_TIMEOUT_S = 60.0  # a fragment is persisted within seconds of its last byte


async def put_media(
    endpoint_url: str,
    stream: str,
    body: AsyncIterator[bytes],
    *,
    region: str,
    credentials: Credentials,
    timecode_type: Literal["ABSOLUTE", "RELATIVE"] = "ABSOLUTE",
    start_timestamp: float | None = None,
    on_ack: Callable[[Ack], None] | None = None,
) -> None:
    """Send one Matroska document and return once its last fragment is acknowledged.

    endpoint_url is the data endpoint that GetDataEndpoint names for PUT_MEDIA. stream is a name
    or an ARN. start_timestamp, seconds since the epoch, is the origin of RELATIVE timecodes.
    on_ack is called with every acknowledgement as it comes, while the body is still being sent.

    Raises PutMediaError if the service refuses the request or a fragment (its code is the
    documented name), or ends early; whatever the body raises passes through.
    """
    headers = {
        "x-amzn-stream-arn" if stream.startswith("arn:") else "x-amzn-stream-name": stream,
        "x-amzn-fragment-timecode-type": timecode_type,
        "x-amzn-fragment-acknowledgment-required": "1",
    }
    if start_timestamp is not None:
        headers["x-amzn-producer-start-timestamp"] = f"{start_timestamp:.3f}"
    url = endpoint_url.rstrip("/") + "/putMedia"
    progress = Progress(on_ack)
    # No total timeout: a live stream lasts. A silent one is kept open by the producer.
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_TIMEOUT_S)
    deadline = asyncio.timeout(None)
    source = Body(body, deadline)
    try:
        async with (
            deadline,
            aiohttp.ClientSession(
                timeout=timeout, connector=aiohttp.TCPConnector(ssl=verification())
            ) as session,
            session.post(
                url,
                data=source.chunks(),
                headers=_signed(url, headers, region, credentials),
            ) as response,
        ):
            if response.status != 200:
                raise await _refusal(response)
            async for data in response.content.iter_any():
                progress.feed(data)
    except aiohttp.ClientError as error:
        if source.error is not None:
            raise source.error from None
        raise PutMediaError(
            f"the connection to {endpoint_url} broke: {str(error) or type(error).__name__}",
            code="ConnectionError",
        ) from error
    except TimeoutError:
        raise PutMediaError(
            f"{endpoint_url} did not end the session within {_LAST_ACKS_TIMEOUT_S:.0f} s",
            code="Timeout",
        ) from None
    if not source.is_sent:
        raise PutMediaError(
            f"{endpoint_url} ended the session before everything was sent", code="SessionEnded"
        )
    progress.check()


class Body:
    """The caller's chunks, and how their sending went."""

    def __init__(
        self, chunks: AsyncIterator[bytes], deadline: asyncio.Timeout | None = None
    ) -> None:
        """deadline: set when everything is sent, for the last acknowledgements."""
        self._chunks = chunks
        self._deadline = deadline
        self.error: Exception | None = None
        self.is_sent = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._chunks:
                yield chunk
        except Exception as error:
            self.error = error  # whoever sends would hide it behind an error of its own
            raise
        self.is_sent = True
        if self._deadline is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + _LAST_ACKS_TIMEOUT_S)


class Progress:
    """What the service has said of the fragments so far."""

    def __init__(self, on_ack: Callable[[Ack], None] | None) -> None:
        self._on_ack = on_ack
        self._parser = AckParser()
        self._unconfirmed: dict[str, Ack] = {}

    def feed(self, data: bytes) -> None:
        """The next bytes of the answer. Raises PutMediaError if they refuse what was sent."""
        for ack in self._parser.feed(data):
            self._take(ack)

    def _take(self, ack: Ack) -> None:
        if self._on_ack is not None:
            self._on_ack(ack)
        match ack.event_type:
            case "BUFFERING":
                self._unconfirmed[ack.fragment_number] = ack
            case "RECEIVED" | "PERSISTED":
                self._unconfirmed.pop(ack.fragment_number, None)
            case "ERROR":
                where = f" at timecode {ack.timecode}" if ack.timecode is not None else ""
                raise PutMediaError(
                    f"Kinesis Video refused the media{where}: {ack.error_code} ({ack.error_id})",
                    code=ack.error_code,
                )

    def check(self) -> None:
        """Raises PutMediaError if a fragment was begun and never confirmed."""
        if self._unconfirmed:
            numbers = ", ".join(self._unconfirmed)
            raise PutMediaError(
                f"the session ended before fragment {numbers} was acknowledged", code="SessionEnded"
            )


def _signed(
    url: str, headers: dict[str, str], region: str, credentials: Credentials
) -> dict[str, str]:
    """Headers with a signature that leaves the body out, as it has no end yet."""
    unsigned = {**headers, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    request = AWSRequest(method="POST", url=url, headers=unsigned)
    SigV4Auth(credentials, "kinesisvideo", region).add_auth(request)
    return dict(request.headers.items())


async def _refusal(response: aiohttp.ClientResponse) -> PutMediaError:
    text = await response.text(errors="replace")
    try:
        content = json.loads(text)
        message = content.get("Message") or content.get("message") or ""
        kind = content.get("__type", "")
    except (ValueError, AttributeError):
        message, kind = text[:200].strip(), ""
    kind = response.headers.get("x-amzn-ErrorType", kind).split(":")[0].split("#")[-1]
    code = kind or f"HTTP {response.status}"
    return PutMediaError(f"PutMedia was refused: {code}: {message or response.reason}", code=code)
