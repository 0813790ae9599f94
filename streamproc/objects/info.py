"""What is known of an object before it is read. Values only."""

from dataclasses import dataclass

from streamproc.errors import ObjectTooLarge
from streamproc.model.video import ObjectRef


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    size_bytes: int
    version: str  # "" where the bucket keeps no versions


def check_size(ref: ObjectRef, size_bytes: int, bytes_max: int) -> None:
    """Raises ObjectTooLarge."""
    if size_bytes > bytes_max:
        raise ObjectTooLarge(f"{ref} has {size_bytes} bytes; the most is {bytes_max}")
