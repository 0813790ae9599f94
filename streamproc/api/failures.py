"""What went wrong inside, as the error that Rekognition documents for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from streamproc.api.tag_store import TooManyTags
from streamproc.errors import (
    CelebrityNotFound,
    CollectionExists,
    CollectionNotFound,
    FaceNotFound,
    ModelMismatch,
    TooManyCollections,
    TooManyFaces,
)
from streamproc.gateway.errors import (
    InvalidParameter,
    ResourceAlreadyExists,
    ResourceNotFound,
    ServiceQuotaExceeded,
)

_ANSWERS = {
    CelebrityNotFound: ResourceNotFound,
    CollectionExists: ResourceAlreadyExists,
    CollectionNotFound: ResourceNotFound,
    FaceNotFound: InvalidParameter,
    ModelMismatch: InvalidParameter,
    TooManyCollections: ServiceQuotaExceeded,
    TooManyFaces: ServiceQuotaExceeded,
    TooManyTags: ServiceQuotaExceeded,
}


@contextmanager
def service_errors() -> Iterator[None]:
    """Translate the failures of collections and tags; the words stay."""
    try:
        yield
    except tuple(_ANSWERS) as error:
        raise _ANSWERS[type(error)](str(error)) from None
