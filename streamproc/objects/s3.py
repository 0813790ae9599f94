"""Objects in S3, or in what speaks its protocol. Knows nothing of what they hold.

Videos are streamed to a file piece by piece, so memory does not know how large they are.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from streamproc.aws import AwsClients
from streamproc.clock import Clock
from streamproc.errors import ObjectUnavailable, TransientFailure
from streamproc.model.video import ObjectRef
from streamproc.objects.info import ObjectInfo, check_size
from streamproc.objects.s3_download import Download
from streamproc.objects.s3_failures import FAILURES, archived, failure

_CHUNK_BYTES = 64 * 1024
# A caller waits for the answer, so what cannot be reached is soon said.
_CLIENT: dict[str, Any] = {"connect_timeout": 5, "retries": {"mode": "standard", "max_attempts": 2}}
# A download tries again by itself. Part of an object has no checksum, so one that is taken up
# again cannot check any.
_DOWNLOAD: dict[str, Any] = {
    "connect_timeout": 5,
    "retries": {"total_max_attempts": 1},
    "response_checksum_validation": "when_required",
}
_ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}


class S3Buckets:
    """Every bucket of the configured S3. ObjectStore says what its methods promise."""

    def __init__(self, clients: AwsClients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock

    async def describe(self, ref: ObjectRef, region: str) -> ObjectInfo:
        key = _key(ref)
        try:
            async with self._clients.open("s3", region, **_CLIENT) as s3:
                head = await s3.head_object(**key)
        except FAILURES as error:
            raise ObjectUnavailable(str(failure(ref, error))) from None
        is_restored = 'ongoing-request="false"' in head.get("Restore", "")
        if (head.get("StorageClass") in _ARCHIVES or "ArchiveStatus" in head) and not is_restored:
            raise archived(ref)
        return ObjectInfo(head.get("ContentLength", 0), head.get("VersionId", ""))

    @asynccontextmanager
    async def fetch(
        self, ref: ObjectRef, region: str, scratch: Path, progress: Callable[[float], None]
    ) -> AsyncIterator[Path]:
        key = _key(ref)
        path = scratch / f"fetched-{uuid4().hex}"
        # Made here and now: a thread could make it after a cancellation has cleaned up.
        file = _new_file(ref, path)
        try:
            try:
                async with self._clients.open("s3", region, **_DOWNLOAD) as s3:
                    await Download(s3, ref, key, path, progress, self._clock).into(file)
            except FAILURES as error:  # before the first request: credentials, the endpoint
                raise failure(ref, error) from None
            finally:
                with suppress(OSError):  # the download has told of it, or the disk has all of it
                    await asyncio.to_thread(file.close)
            yield path
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def read(self, ref: ObjectRef, region: str, bytes_max: int) -> bytes:
        key = _key(ref)
        data = bytearray()
        try:
            async with self._clients.open("s3", region, **_CLIENT) as s3:
                answer = await s3.get_object(**key)
                async with answer["Body"] as body:
                    check_size(ref, answer.get("ContentLength", 0), bytes_max)
                    async for chunk in body.iter_chunks(_CHUNK_BYTES):
                        data += chunk
                        check_size(ref, len(data), bytes_max)
        except FAILURES as error:
            raise ObjectUnavailable(str(failure(ref, error))) from None
        return bytes(data)


def _key(ref: ObjectRef) -> dict[str, str]:
    try:
        ref.name.encode()
    except UnicodeEncodeError:
        raise ObjectUnavailable(f"{ref!r} does not exist: half a surrogate is no text") from None
    key = {"Bucket": ref.bucket, "Key": ref.name}
    return key | ({"VersionId": ref.version} if ref.version else {})


def _new_file(ref: ObjectRef, path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except OSError as error:
        raise TransientFailure(f"{ref} cannot be kept in {path.parent}: {error.strerror}") from None
