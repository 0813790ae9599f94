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
        self._silence = _Silence(read_timeout_s)
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
        self._silence.forget()
        await let_go(self._chunks)

    async def _next(self) -> bytes:
        """The next chunk that is not empty, b"" at the end."""
        if self._trouble is not None:
            raise self._trouble
        try:
            with self._silence:
                while not (chunk := await anext(self._chunks)):
                    pass
        except StopAsyncIteration:
            return b""
        except asyncio.CancelledError:  # which has ended the service's generator
            self._trouble = ResponseStreamingError(error="a read of it was cancelled")
            raise
        except Exception as error:
            if self._silence.is_over:
                self._trouble = AioReadTimeoutError(endpoint_url=self._called, error=error)
            else:
                log.error("%s: the stream broke while it was read", self._called, exc_info=error)
                self._trouble = ResponseStreamingError(error=error)
            raise self._trouble from error
        return chunk


class _Silence:
    """asyncio.timeout() for reads that come many times a second: one timer for all of them, which
    looks, when it goes off, how long the read of that moment has waited. Raises TimeoutError."""

    def __init__(self, timeout_s: float) -> None:
        self.is_over = False  # it was longer than timeout_s
        self._timeout_s = timeout_s
        self._task: asyncio.Task[object] | None = None  # that reads; None between two reads
        self._since_s = 0.0  # of the loop's time
        self._cancelled_before = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "a stream is read in a task"
        self._task, self._since_s, self.is_over = task, loop.time(), False
        self._cancelled_before = task.cancelling()
        if self._timer is None:
            self._timer = loop.call_at(self._since_s + self._timeout_s, self._look)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self.is_over and task is not None:
            # Somebody else may have cancelled it as well, and goes before.
            is_ours_alone = task.uncancel() <= self._cancelled_before
            if is_ours_alone and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None  # where nobody reads, the next read sets it again
        if self._task is None:
            return
        loop = asyncio.get_running_loop()
        due_s = self._since_s + self._timeout_s
        if loop.time() < due_s:
            self._timer = loop.call_at(due_s, self._look)
        else:
            self.is_over = True
            self._task.cancel()
