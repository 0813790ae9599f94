"""PutMedia to the service of the same process: producer.py's promise, without a wire.

Knows the client that gateway/inside.py makes, as far as it is botocore's; knows nothing of what
is sent.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from streamproc.aio import let_go
from streamproc.kvs.acks import Ack, PutMediaError
from streamproc.kvs.failures import code
from streamproc.kvs.producer import Body, Progress

_READ_BYTES = 64 * 1024


async def put_media_inside(
    client: Any,
    stream: str,
    body: AsyncIterator[bytes],
    *,
    on_ack: Callable[[Ack], None] | None = None,
) -> None:
    """Send one Matroska document and return once its last fragment is acknowledged.

    client has a put_media that takes a body with no end yet and answers with a Payload. Raises as
    producer.put_media does.
    """
    progress = Progress(on_ack)
    source = Body(body)
    chunks = source.chunks()
    try:
        answer = await client.put_media(
            StreamName=stream,
            FragmentTimecodeType="ABSOLUTE",
            FragmentAcknowledgmentRequired="1",
            Payload=chunks,
        )
        async with answer["Payload"] as acks:
            while data := await acks.read(_READ_BYTES):
                progress.feed(data)
    except ClientError as error:
        message = error.response.get("Error", {}).get("Message", "")
        raise PutMediaError(
            f"PutMedia was refused: {code(error)}: {message}", code=code(error)
        ) from error
    except BotoCoreError as error:  # silence, or the service broke off
        if source.error is not None:
            raise source.error from None
        raise PutMediaError(f"PutMedia broke off: {error}", code="ConnectionError") from error
    finally:
        await chunks.aclose()
        await let_go(body)
    if source.error is not None:
        raise source.error
    if not source.is_sent:
        raise PutMediaError("the session was ended before everything was sent", code="SessionEnded")
    progress.check()
