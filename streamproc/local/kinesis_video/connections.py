"""Long answers that hold a place: concurrent sessions per stream are counted here.

Knows how many there are; knows nothing of what they carry.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Self

from streamproc.gateway.errors import ConnectionLimitExceeded


class Connections:
    """The open sessions of one kind on one stream."""

    def __init__(self, operation: str, size_max: int) -> None:
        self._operation = operation
        self._size_max = size_max
        self.size = 0

    def open(self, chunks: AsyncGenerator[bytes, None]) -> "Session":
        """Take a place for an answer. Raises ConnectionLimitExceeded if none is free."""
        if self.size >= self._size_max:
            raise ConnectionLimitExceeded(
                f"{self.size} {self._operation} sessions are open on this stream, as many "
                "as may be; close one first."
            )
        self.size += 1
        return Session(chunks, self._leave)

    def _leave(self) -> None:
        self.size -= 1


class Session:
    """The body of an answer. Gives its place back once, when it ends or is closed, even if
    nobody ever asked for its first chunk (a generator's own finally would not run then)."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], leave: Callable[[], None]) -> None:
        self._chunks = chunks
        self._leave: Callable[[], None] | None = leave

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except BaseException:
            self._free()
            raise

    async def aclose(self) -> None:
        try:
            await self._chunks.aclose()
        finally:
            self._free()

    def _free(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
