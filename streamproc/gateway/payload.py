"""A streaming answer for a reader in the same process, read as aiobotocore's StreamingBody is.

Takes the next chunk from the service when the reader asks for one, in the reader's own task:
nothing is buffered or handed over, so the reader's pace is the stream's. Knows nothing of what
flows.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from aiobotocore.response import AioReadTimeoutError
from botocore.exceptions import ResponseStreamingError

from streamproc.aio import let_go

log = logging.getLogger(__name__)


class Payload:
    """For one reader, and one task, which closes it by leaving its block.

    A read that is cancelled ends the stream, where aiobotocore's could go on.
    """

    def __init__(self, chunks: AsyncIterator[bytes], read_timeout_s: float, called: str) -> None:
        """called names the call that was answered, for messages."""
        self._chunks = chunks
        self._read_timeout_s = read_timeout_s
        self._called = called
        self._rest = memoryview(b"")
        self._trouble: Exception | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def read(self, size: int) -> bytes:
        """From 1 to size bytes as soon as there are some; b"" at the end.

        Raises AioReadTimeoutError after read_timeout_s of silence, ResponseStreamingError if
        the service breaks the stream off; then again whenever it is asked.
        """
        if not self._rest:
            chunk = await self._next()
            if len(chunk) <= size:
                return chunk
            self._rest = memoryview(chunk)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)

    async def aclose(self) -> None:
        """Let the service go, wherever it is."""
        await let_go(self._chunks)

    async def _next(self) -> bytes:
        """The next chunk that is not empty, b"" at the end."""
        if self._trouble is not None:
            raise self._trouble
        try:
            async with asyncio.timeout(self._read_timeout_s) as waiting:
                while not (chunk := await anext(self._chunks)):
                    pass
        except StopAsyncIteration:
            return b""
        except asyncio.CancelledError:  # which has ended the service's generator
            self._trouble = ResponseStreamingError(error="a read of it was cancelled")
            raise
        except Exception as error:
            if waiting.expired():
                self._trouble = AioReadTimeoutError(endpoint_url=self._called, error=error)
            else:
                log.error("%s: the stream broke while it was read", self._called, exc_info=error)
                self._trouble = ResponseStreamingError(error=error)
            raise self._trouble from error
        return chunk
