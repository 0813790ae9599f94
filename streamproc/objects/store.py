"""Objects by bucket and name: in the folder that stands for the bucket, or else in S3.

Errors are in a person's words and name the object as s3://bucket/name. Knows nothing of what
objects hold.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from streamproc.aws import AwsClients
from streamproc.clock import Clock, SystemClock
from streamproc.errors import ObjectUnavailable
from streamproc.model.video import ObjectRef
from streamproc.objects.folder import FolderBucket
from streamproc.objects.info import ObjectInfo
from streamproc.objects.s3 import S3Buckets


class ObjectStore:
    """All buckets there are."""

    def __init__(
        self, buckets: Mapping[str, Path], clients: AwsClients, clock: Clock | None = None
    ) -> None:
        """buckets: the folders that stand for buckets, by bucket name."""
        self._folders = {name: FolderBucket(folder) for name, folder in buckets.items()}
        self._clients = clients
        self._s3 = S3Buckets(clients, clock or SystemClock())

    async def describe(self, ref: ObjectRef, region: str) -> ObjectInfo:
        """Whether the object can be read, and what it is. Raises ObjectUnavailable.

        A caller waits for the answer, so nothing is tried for long.
        """
        if folder := self._folders.get(ref.bucket):
            return await folder.describe(ref)
        return await self._remote(ref).describe(ref, region)

    @asynccontextmanager
    async def fetch(
        self, ref: ObjectRef, region: str, scratch: Path, progress: Callable[[float], None]
    ) -> AsyncIterator[Path]:
        """The object as a file, not to be changed, for as long as the block lasts.

        What has to be brought here lies in the folder scratch meanwhile; what a killed process
        leaves there, fetched-*, is for the owner of the folder to remove. progress is told the
        part that has arrived, 0 to 1; it steps back where a download has to begin again.
        Entering raises ObjectUnavailable if the object never will be there, TransientFailure
        if trying again may help.
        """
        if folder := self._folders.get(ref.bucket):
            fetched = folder.fetch(ref, progress)
        else:
            fetched = self._remote(ref).fetch(ref, region, scratch, progress)
        async with fetched as path:
            yield path

    async def read(self, ref: ObjectRef, region: str, bytes_max: int) -> bytes:
        """All of a small object. Raises ObjectUnavailable, or ObjectTooLarge if it has more
        bytes than bytes_max."""
        if folder := self._folders.get(ref.bucket):
            return await folder.read(ref, bytes_max)
        return await self._remote(ref).read(ref, region, bytes_max)

    def _remote(self, ref: ObjectRef) -> S3Buckets:
        if not self._clients.is_enabled("s3"):
            raise ObjectUnavailable(
                f"{ref} cannot be read: no folder stands for bucket {ref.bucket}, and no S3 is "
                "configured. Set endpoints.s3 to aws or to the URL of an S3 endpoint, or name "
                f"the folder of {ref.bucket} in [buckets]"
            )
        return self._s3
