"""An S3Object member of a request: what it names, and how its trouble is answered. Pure."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from streamproc.errors import ObjectUnavailable
from streamproc.gateway.errors import InvalidParameter, InvalidS3Object
from streamproc.model.video import ObjectRef


def object_ref(member: str, s3_object: Mapping[str, Any]) -> ObjectRef:
    """What the member (such as Image.S3Object) names.

    Raises InvalidParameter if it leaves out Bucket or Name, which the model does not require.
    """
    for name in ("Bucket", "Name"):
        if name not in s3_object:
            raise InvalidParameter(f"{member}.{name} is missing")
    return ObjectRef(s3_object["Bucket"], s3_object["Name"], s3_object.get("Version", ""))


@contextmanager
def object_errors(member: str) -> Iterator[None]:
    """Answer ObjectUnavailable with the error that Rekognition documents for it."""
    try:
        yield
    except ObjectUnavailable as error:
        raise InvalidS3Object(
            "Unable to get object metadata from S3. Check object key, region and/or access "
            f"permissions. {member}: {error}"
        ) from None
