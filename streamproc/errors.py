"""Failures with a name, shared by every layer.

Each message is written for the person who can mend it: what is wrong, with its value, and
what to do. Errors of the AWS protocol live in gateway/errors.py; api and local translate.
"""


class StreamprocError(Exception):
    """Anything we raise on purpose. The command line prints it as one line."""


class ConfigError(StreamprocError):
    """A key of the configuration is wrong; the message names it."""


class MediaError(StreamprocError):
    """The bytes are not the media they should be."""


class MkvError(MediaError):
    """The bytes are not Matroska; the message says where."""


class UnsupportedCodec(MediaError):
    """A track is in a codec that we do not decode."""


class ImageError(StreamprocError):
    """A picture cannot be read."""


class ImageTooLarge(ImageError):
    """A picture has more bytes or pixels than allowed."""


class EngineError(StreamprocError):
    """An engine or its models cannot run; the message says what would mend it."""


class CollectionNotFound(StreamprocError):
    """No such collection in this region."""


class CollectionExists(StreamprocError):
    """A collection of this id exists already."""


class TooManyCollections(StreamprocError):
    """A region has as many collections as are allowed."""


class TooManyFaces(StreamprocError):
    """A collection would hold more faces than are allowed."""


class ModelMismatch(StreamprocError):
    """A collection was made with another pack than the one that runs."""


class FaceNotFound(StreamprocError):
    """No such face in this collection."""


class CelebrityNotFound(StreamprocError):
    """No collection of this region knows a celebrity of this id."""


class StoreDamaged(StreamprocError):
    """State on disk cannot be read; the message names the file and the way back."""


class StoreUnavailable(StreamprocError):
    """State cannot be written (or read) just now, such as on a full disk; trying again may
    heal it. Nothing of the transaction was kept."""


class BackupError(StreamprocError):
    """A backup cannot be made, or is not one that can be restored."""


class PolicyError(StreamprocError):
    """A policy document cannot be enforced as it is written; the message names the statement
    and the element."""


class AuditBroken(StreamprocError):
    """A line of the audit log was changed or is missing; the message names it."""


class PermanentFailure(StreamprocError):
    """A processor cannot go on until a person changes something. Becomes FAILED; the text is
    its StatusMessage."""


class OutOfReach(PermanentFailure):
    """A stream or a right that is not there. When a processor is started somebody has to see
    to it; to one that has had it, it may come back, and that is waited for."""


class TransientFailure(StreamprocError):
    """Something outside did not answer, or not well; trying again may heal it. While a
    processor opens, the text is its StatusMessage and it is tried again."""


class ObjectUnavailable(StreamprocError):
    """An object in a bucket is not there, or may not be read."""


class ObjectTooLarge(StreamprocError):
    """An object has more bytes than allowed."""


class TooManyJobs(StreamprocError):
    """A region has as many jobs waiting or running as are allowed."""

    def __init__(self, open_count: int, open_max: int) -> None:
        super().__init__(
            f"{open_count} jobs are waiting or running and at most {open_max} may be; "
            "wait until one has ended, or raise jobs.open_max"
        )
        self.open_count = open_count
        self.open_max = open_max


class TokenMismatch(StreamprocError):
    """A ClientRequestToken that stands for another request."""


class UnknownJob(StreamprocError):
    """No such job of this kind in this region, or it is kept no longer."""
