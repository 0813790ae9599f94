"""Calls of Rekognition operations, those too that are ours alone and that no SDK has in its model.

Knows the protocol, AWS JSON 1.1, and the signature; knows nothing of what the operations do.
"""

import io
import json
from collections.abc import Mapping
from typing import Any

from streamproc.cli.access import Access, nothing_answers, refused
from streamproc.errors import StreamprocError

_CONNECT_TIMEOUT_S = 5.0
_TIMEOUT_S = 300.0  # a photo may have to wait until others are analysed


class OperationRefused(StreamprocError):
    """What a service answers instead of a result."""

    def __init__(self, endpoint_url: str, code: str, message: str) -> None:
        super().__init__(refused(endpoint_url, code, message))
        self.code = code
        self.message = message


async def call(access: Access, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The answer of one operation.

    Raises StreamprocError, in one line, if nothing answers (in time), OperationRefused if the
    service refuses; AWS itself refuses always, since these operations are not its own.
    """
    import aiohttp

    from streamproc.aws import verification

    body = json.dumps(payload).encode()
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
    url = _url(access)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, connector=aiohttp.TCPConnector(ssl=verification())
            ) as session,
            session.post(
                url, data=io.BytesIO(body), headers=_signed(access, url, operation, body)
            ) as answer,
        ):
            status, text = answer.status, await answer.text(errors="replace")
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise nothing_answers(access.endpoint_url) from None
    except TimeoutError:
        raise StreamprocError(
            f"{access.endpoint_url} has not answered {operation} within {_TIMEOUT_S:.0f} s"
        ) from None
    except (aiohttp.ClientError, OSError) as error:
        raise StreamprocError(
            f"the connection to {access.endpoint_url} broke: {str(error) or type(error).__name__}"
        ) from None
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError
    except ValueError:
        raise StreamprocError(
            f"{access.endpoint_url} answered {operation} with HTTP {status} and no JSON; "
            "is it a streamproc?"
        ) from None
    if status != 200:
        code = str(content.get("__type", f"HTTP {status}")).split("#")[-1]
        message = content.get("Message") or content.get("message") or "no reason given"
        raise OperationRefused(access.endpoint_url, code, str(message))
    return content


async def listed(
    access: Access, operation: str, member: str, payload: Mapping[str, Any] | None = None
) -> list[Any]:
    """A member of the answers, from all pages. Raises what call() raises."""
    found: list[Any] = []
    request = dict(payload or {})
    while True:
        page = await call(access, operation, request)
        found += page.get(member, ())
        if not page.get("NextToken"):
            return found
        request["NextToken"] = page["NextToken"]


def _url(access: Access) -> str:
    if access.endpoint_url == "aws":
        return f"https://rekognition.{access.region}.amazonaws.com/"
    return access.endpoint_url.rstrip("/") + "/"


def _signed(access: Access, url: str, operation: str, body: bytes) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"RekognitionService.{operation}",
    }
    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    SigV4Auth(access.credentials, "rekognition", access.region).add_auth(request)
    return dict(request.headers.items())
