"""One object of S3 on its way into a file: in pieces, taken up again where it broke off.

Knows what a broken body is; knows nothing of which client, which file or who waits for it.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import ClientError, IncompleteReadError

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import ObjectUnavailable, TransientFailure
from streamproc.model.video import ObjectRef
from streamproc.objects.s3_failures import FAILURES, code_of, failure

CHUNK_BYTES = 1024 * 1024
_ATTEMPTS_MAX = 5  # one after the other that bring less than a chunk
_BACKOFF_BASE_S = 0.5
_DISK_LEFT_BYTES = 256 * 1024 * 1024  # for databases and recordings, which share the disk
_CHANGED = {"PreconditionFailed", "412", "InvalidRange", "416"}


class Download:
    """key: the members that name the object to GetObject."""

    def __init__(
        self,
        s3: Any,
        ref: ObjectRef,
        key: dict[str, str],
        path: Path,
        progress: Callable[[float], None],
        clock: Clock,
    ) -> None:
        self._s3 = s3
        self._ref = ref
        self._key = key
        self._path = path
        self._progress = progress
        self._clock = clock
        self._arrived = 0
        self._size = 0
        self._etag = ""

    async def into(self, file: BinaryIO) -> None:
        """Closes the file when it has all of it. Raises ObjectUnavailable, or TransientFailure
        once it broke off too often or if the disk is too full."""
        failures = 0
        while True:
            before = self._arrived
            try:
                await self._receive(file)
                return
            except FAILURES as error:
                problem = failure(self._ref, error)
                if isinstance(error, ClientError) and code_of(error) in _CHANGED:
                    self._arrived = before = 0  # another object took its place: begin again
                elif isinstance(problem, ObjectUnavailable):
                    raise problem from None
                failures = 1 if self._arrived - before >= CHUNK_BYTES else failures + 1
                if failures >= _ATTEMPTS_MAX:
                    raise problem from None
            await self._clock.sleep(backoff_seconds(failures, base_s=_BACKOFF_BASE_S))

    async def _receive(self, file: BinaryIO) -> None:
        request = dict(self._key)
        if self._arrived and self._etag:
            request |= {"Range": f"bytes={self._arrived}-", "IfMatch": self._etag}
        answer = await self._s3.get_object(**request)
        async with answer["Body"] as body:
            if "ContentRange" not in answer:
                await self._begin(answer, file)
            async for chunk in body.iter_chunks(CHUNK_BYTES):
                await self._on_disk(file.write, chunk)
                self._arrived += len(chunk)
                self._progress(min(1.0, self._arrived / max(1, self._size)))
        if self._arrived != self._size:
            raise IncompleteReadError(actual_bytes=self._arrived, expected_bytes=self._size)
        await self._on_disk(file.close)
        self._progress(1.0)

    async def _begin(self, answer: dict[str, Any], file: BinaryIO) -> None:
        self._arrived = 0
        self._size = answer.get("ContentLength", 0)
        self._etag = answer.get("ETag", "")
        await self._on_disk(file.seek, 0)
        await self._on_disk(file.truncate)
        free_bytes = (await asyncio.to_thread(shutil.disk_usage, self._path.parent)).free
        if free_bytes < self._size + _DISK_LEFT_BYTES:
            raise TransientFailure(
                f"{self._ref} has {self._size} bytes, and the disk of {self._path.parent} only "
                f"{free_bytes} left, of which {_DISK_LEFT_BYTES} stay free; make room there"
            )

    async def _on_disk(self, call: Callable[..., object], *arguments: object) -> None:
        try:
            await asyncio.to_thread(call, *arguments)
        except OSError as error:
            raise TransientFailure(
                f"{self._ref} cannot be kept in {self._path.parent}: {error.strerror}"
            ) from None
