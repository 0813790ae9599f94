"""What a stored-video job is asked to do, how far it is, and what it found. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from streamproc.model.video import ObjectRef, VideoMetadata


class JobKind(StrEnum):
    """The value is what stands behind Start and Get in the names of the operations."""

    FACE_DETECTION = "FaceDetection"
    FACE_SEARCH = "FaceSearch"
    PERSON_TRACKING = "PersonTracking"
    LABEL_DETECTION = "LabelDetection"
    CONTENT_MODERATION = "ContentModeration"
    CELEBRITY_RECOGNITION = "CelebrityRecognition"


class JobStatus(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Everything that a Start operation said, once."""

    region: str
    kind: JobKind
    video: ObjectRef
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Members of the request that only this kind of job has, as they were given, defaults
    filled in: FaceAttributes, CollectionId, FaceMatchThreshold, MinConfidence, Settings."""
    job_tag: str = ""
    topic_arn: str = ""  # "": nobody is told
    role_arn: str = ""  # that publishes to the topic


@dataclass(frozen=True, slots=True)
class JobView:
    """One job as it stands."""

    id: str  # 64 lower-case hexadecimal digits
    spec: JobSpec
    status: JobStatus
    message: str  # why it failed; "" otherwise
    progress: float  # 0 to 1
    created_at: float  # seconds since the epoch
    finished_at: float | None
    metadata: VideoMetadata | None  # None until the video was opened
    model_version: str  # of the labels or the moderation; "" for the other kinds


class Aggregation(StrEnum):
    TIMESTAMPS = "TIMESTAMPS"
    SEGMENTS = "SEGMENTS"


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One entry of the list that a Get operation answers, but for its Timestamp."""

    timestamp_ms: int
    body: Mapping[str, Any]  # members as the API names them
    group: int | None = None  # a track or another whole that is judged at the end: see Group
    sort_key: str = ""  # what SortBy NAME orders by; that of its group overrides it
    confidence: float = 0.0  # 0 to 100; orders, descending, the items of one sort key
    aggregation: Aggregation = Aggregation.TIMESTAMPS


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """What is known of all items of one group once the video has ended."""

    number: int
    body: Mapping[str, Any] | None  # merged into each item, dict into dict; None: not listed
    sort_key: str = ""  # what SortBy INDEX or ID orders by; numbers zero-padded
