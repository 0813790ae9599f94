"""The streams around it, its own and those of others."""

import re
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, RootModel, field_validator

from streamproc.settings.base import TableConfig, is_endpoint_url

_BUCKET_NAME = re.compile(r"[0-9A-Za-z._-]{3,255}")  # as Rekognition's model has it


class SinkConfig(TableConfig):
    """[sink]: how records travel to the data stream."""

    partition_key: Literal["processor", "random"] = Field(
        "processor", description="processor keeps order per processor; random is what AWS does"
    )
    records_per_batch_max: int = Field(500, ge=1, le=500, description="records per PutRecords")
    bytes_per_batch_max: int = Field(
        5 * 1024 * 1024, ge=1024, le=10 * 1024 * 1024, description="bytes per PutRecords"
    )
    wait_ms_max: float = Field(
        20.0, ge=0, description="with random keys, a record waits this long for others"
    )
    records_queued_max: int = Field(
        1000, ge=1, description="unsent records; when full the processor waits, nothing is lost"
    )
    timeout_s: float = Field(
        8.0, gt=0, description="a PutRecords without an answer by then is sent again"
    )
    backoff_s_max: float = Field(5.0, gt=0, description="longest pause between two attempts")


class EndpointsConfig(TableConfig):
    """[endpoints]: which service answers. "embedded", "aws", or a URL; "off" for s3, sns, sts."""

    kinesisvideo: str = Field("embedded", description="the video streams that processors read")
    kinesis: str = Field("embedded", description="the data streams that records go to")
    s3: str = Field("off", description="where S3Objects are read from, but for those of [buckets]")
    sns: str = Field("off", description="where topics are told that a job has ended")
    sts: str = Field("aws", description="where roles are assumed")

    @field_validator("kinesisvideo", "kinesis")
    @classmethod
    def _embeddable(cls, value: str) -> str:
        return _endpoint(value, "embedded", "aws")

    @field_validator("s3", "sns", "sts")
    @classmethod
    def _switchable(cls, value: str) -> str:
        return _endpoint(value, "off", "aws")


def _endpoint(value: str, *words: str) -> str:
    if value in words or is_endpoint_url(value):
        return value
    raise ValueError(f'"{value}" is neither {" nor ".join(words)} nor an http(s) URL of a host')


class BucketsConfig(RootModel[dict[str, Path]]):
    """[buckets]: folders that stand for S3 buckets, by bucket name."""

    model_config = ConfigDict(frozen=True)

    root: dict[str, Path] = {}

    @field_validator("root")
    @classmethod
    def _named_and_expanded(cls, value: dict[str, Path]) -> dict[str, Path]:
        for name in value:
            if not _BUCKET_NAME.fullmatch(name):
                raise ValueError(
                    f'"{name}" is no bucket name: 3 to 255 letters, digits, dots, hyphens, "_"'
                )
        return {name: folder.expanduser() for name, folder in value.items()}


class AwsConfig(TableConfig):
    """[aws]: how we speak to services that are not our own."""

    role: Literal["ignore", "assume"] = Field(
        "ignore", description="assume a processor's RoleArn through STS, or use our credentials"
    )
    read_timeout_s: float = Field(30.0, gt=0, description="silence after which a read is retried")


class VideoConfig(TableConfig):
    """[video]: the embedded Kinesis Video service."""

    retention_hours: int = Field(
        0, ge=0, le=87_600, description="of streams created without DataRetentionInHours"
    )
    bytes_per_stream_max: int = Field(
        20 * 1024**3, ge=1024 * 1024, description="oldest fragments go when a stream is larger"
    )
    unretained_s: float = Field(
        300.0, gt=0, description="how long a stream of retention 0 keeps fragments (AWS: 300)"
    )
    unretained_bytes_max: int = Field(
        200 * 1024 * 1024, ge=1024, description="how much a stream of retention 0 keeps"
    )
    fragment_bytes_max: int = Field(50 * 1024 * 1024, ge=1024, description="largest fragment")
    fragment_duration_s_max: float = Field(20.0, gt=0, description="longest fragment")
    connection_s_max: float = Field(
        2700.0, gt=0, description="a PutMedia or GetMedia session ends after this (AWS: 45 min)"
    )
    get_media_per_stream_max: int = Field(8, ge=1, description="concurrent GetMedia (AWS: 3)")
    put_media_per_stream_max: int = Field(2, ge=1, description="concurrent PutMedia (AWS: 1)")
    segment_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="size of one file of the archive"
    )
    streams_max: int = Field(10_000, ge=1, description="video streams per region (AWS: 10,000)")


class DataConfig(TableConfig):
    """[data]: the embedded Kinesis Data service."""

    retention_hours: int = Field(24, ge=24, le=8760, description="how long records are kept")
    shards_max: int = Field(500, ge=1, description="shards of all streams of a region together")
    record_bytes_max: int = Field(
        1024 * 1024, ge=1024, le=10 * 1024 * 1024, description="largest record, key included"
    )
    iterator_s_max: float = Field(300.0, gt=0, description="a shard iterator lives this long")
