"""What can be set: one model per table of the configuration, each key declared once.

Ranges and defaults live here and nowhere else. Where the values come from is config.py's.
"""

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

_BUCKET_NAME = re.compile(r"[0-9A-Za-z._-]{3,255}")  # as Rekognition's model has it
_HOST_NAME = re.compile(r"((?!-)[a-z0-9-]{1,63}(?<!-)\.)*(?!-)[a-z0-9-]{1,63}(?<!-)\.?")


class TableConfig(BaseModel):
    """One TOML table. An unknown key is an error, not a surprise."""

    # Defaults are validated like the rest: ~ must expand in them too.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ServerConfig(TableConfig):
    """[server]: where the API listens and who it says it is."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(4600, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    public_url: str = Field(
        "", description="base URL that clients reach us by; empty means http://host:port"
    )
    account_id: str = Field(
        "000000000000",
        pattern=r"^[0-9]{12}$",
        coerce_numbers_to_str=True,  # --set server.account_id=123456789012 reads as a number
        description="account id in every ARN",
    )
    region: str = Field(
        "us-east-1",
        pattern=r"^[a-z0-9-]+$",
        description="region of requests that are not signed; signed ones name their own",
    )
    request_bytes_max: int = Field(
        32 * 1024 * 1024, ge=1024, description="largest request body, streams excepted"
    )
    header_bytes_max: int = Field(
        16 * 1024, ge=1024, description="largest request line and largest header of a request"
    )
    body_timeout_s: float = Field(
        60.0,
        gt=0,
        description="a request's head, and its body unless that is a stream, is here by then",
    )
    connections_max: int = Field(2048, ge=16, description="open connections of all clients")
    connections_per_client_max: int = Field(
        256, ge=1, description="open connections of one address; loopback has no such limit"
    )
    plain_http_beyond_loopback: bool = Field(
        False, description="serve other machines without TLS; a proxy in front should speak it"
    )

    @field_validator("public_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        if value and not is_endpoint_url(value):
            raise ValueError(
                f'"{value}" is no http(s) URL of a host; an underscore may not be in it'
            )
        return value


class AuthConfig(TableConfig):
    """[auth]: who may call. Keys are made with: streamproc keys create."""

    required: bool = Field(
        False, description="verify every signature; must be true to listen beyond loopback"
    )
    clock_skew_s: float = Field(
        300.0, ge=1, le=900, description="a signature older or newer than this is refused"
    )


class TlsConfig(TableConfig):
    """[tls]: HTTPS from certificate files in PEM; read again when they change."""

    certificate_file: str = Field("", description="certificate with its chain; empty means no TLS")
    private_key_file: str = Field("", description="its private key; empty means in the same file")

    @field_validator("certificate_file", "private_key_file")
    @classmethod
    def _expand(cls, value: str) -> str:
        return str(Path(value).expanduser()) if value else ""


class AuditConfig(TableConfig):
    """[audit]: the hash-chained log of what was done with faces."""

    enabled: bool = Field(True, description="keep audit/ in the data folder")


class StorageConfig(TableConfig):
    """[storage]: where state lives."""

    data_dir: Path = Field(
        Path("~/.local/share/streamproc"), description="folder of every database and recording"
    )

    @field_validator("data_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()


class EngineConfig(TableConfig):
    """[engine]: which model finds and embeds faces."""

    name: Literal["insightface", "dlib"] = Field("insightface", description="insightface or dlib")
    pack: str = Field("buffalo_sc", description="InsightFace pack name, or a folder of ONNX files")
    models_dir: Path = Field(
        Path("~/.insightface"), description="where packs named by name are installed"
    )
    providers: list[str] = Field(
        ["CPUExecutionProvider"], min_length=1, description="ONNX Runtime providers, best first"
    )
    detection_sizes: list[int] = Field(
        [128, 640],
        min_length=1,
        description="detector inputs in pixels; the small one finds faces that fill the frame",
    )
    detection_confidence_min: float = Field(
        50.0, ge=1, le=100, description="a detection below this is no face"
    )
    threads: int = Field(0, ge=0, le=256, description="inference threads; 0 means one per core")

    @field_validator("models_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("providers")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        for name in value:
            if value.count(name) > 1:
                raise ValueError(f"{name} is named twice; name each provider once, best first")
        return value

    @field_validator("detection_sizes")
    @classmethod
    def _multiples(cls, value: list[int]) -> list[int]:
        for size in value:
            if size < 32 or size > 4096 or size % 32:
                raise ValueError(f"{size} is not a multiple of 32 between 32 and 4096")
        return value


class AnalysisConfig(TableConfig):
    """[analysis]: the models beside the face engine: attributes, objects, moderation."""

    models_dir: Path = Field(
        Path("~/.local/share/streamproc-models"),
        description="folder of their ONNX files; streamproc models install fills it",
    )

    @field_validator("models_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()


class MediaConfig(TableConfig):
    """[media]: what is accepted of video, live or stored."""

    picture_pixels_max: int = Field(
        8192 * 4320, ge=6400, description="largest picture that is decoded, in pixels"
    )
    element_bytes_max: int = Field(
        50_000_000, ge=65536, description="largest Matroska element that is held in memory"
    )
    element_depth_max: int = Field(8, ge=4, le=64, description="deepest nesting of elements")


class FacesConfig(TableConfig):
    """[faces]: what counts as a match and which pictures are accepted."""

    face_match_threshold: float = Field(
        70.0, ge=0, le=100, description="a processor's FaceMatchThreshold where Create gives none"
    )
    face_match_threshold_floor: float = Field(
        0.0, ge=0, le=100, description="a processor's lower thresholds count as this; AWS has 80"
    )
    search_threshold: float = Field(
        80.0, ge=0, le=100, description="threshold of SearchFaces* and CompareFaces by default"
    )
    collections_max: int = Field(10_000, ge=1, description="collections per region")
    faces_per_collection_max: int = Field(
        20_000_000, ge=1, description="faces that a collection may hold (AWS: 20 million)"
    )
    faces_per_image_max: int = Field(100, ge=1, description="largest faces kept per picture")
    image_bytes_max: int = Field(
        15 * 1024 * 1024, ge=1024, description="largest picture from S3; Image.Bytes has 5 MiB"
    )
    image_pixels_max: int = Field(50_000_000, ge=6400, description="largest picture, in pixels")
    image_side_min: int = Field(80, ge=1, description="smallest width and height of a picture")
    index_bytes_max: int = Field(
        2 * 1024**3,
        ge=0,
        description="memory for search indexes; the collection searched last is held in any case",
    )
    exact_faces_max: int = Field(
        2048,
        ge=1,
        description="a larger collection is searched through an index on disk: quicker, and the "
        "best matches instead of all",
    )


class ProcessorsConfig(TableConfig):
    """[processors]: how every stream processor runs."""

    analysis_fps: float = Field(5.0, gt=0, le=120, description="frames analysed per media second")
    analysis_fps_min: float = Field(
        1.0,
        gt=0,
        le=120,
        description="least rate under load; at analysis_fps, nothing is skipped before lag_max_s",
    )
    lag_max_s: float = Field(
        30.0, gt=0, description="analysis fallen further behind than this: jump to live"
    )
    start_at: Literal["now", "earliest"] = Field(
        "now", description="where StartStreamProcessor begins; a restart resumes by itself"
    )
    start_timeout_s: float = Field(
        120.0, gt=0, description="a start that could not open its streams by then is FAILED"
    )
    stop_timeout_s: float = Field(10.0, gt=0, description="how long a stop may drain")
    silence_s: float = Field(
        60.0, gt=0, description="no media for this long is told in the StatusMessage"
    )
    frames_queued_max: int = Field(1, ge=1, description="decoded frames that wait for analysis")
    processors_max: int = Field(10_000, ge=1, description="stream processors per region")
    tags_max: int = Field(200, ge=1, description="tags per resource")


class JobsConfig(TableConfig):
    """[jobs]: the analysis of stored video."""

    running_max: int = Field(2, ge=1, le=64, description="jobs that run at once; others wait")
    open_max: int = Field(
        20, ge=1, description="jobs that may be waiting or running, per region (AWS: 20)"
    )
    video_bytes_max: int = Field(
        10 * 1024**3, ge=1024, description="largest video; checked when a job is started"
    )
    results_kept_days: float = Field(
        7.0, gt=0, description="how long results and ClientRequestTokens live"
    )
    face_fps: float = Field(
        5.0, gt=0, le=120, description="frames per second looked at for faces and celebrities"
    )
    person_fps: float = Field(5.0, gt=0, le=120, description="the same for person tracking")
    label_fps: float = Field(2.0, gt=0, le=120, description="the same for labels")
    moderation_fps: float = Field(2.0, gt=0, le=120, description="the same for moderation")
    celebrity_similarity_min: float = Field(
        95.0, ge=0, le=100, description="a face less similar than this is not that celebrity's"
    )
    starts_max: int = Field(
        3, ge=1, description="a job that the daemon crashed in this often is FAILED"
    )


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


def is_endpoint_url(text: str) -> bool:
    """Whether AWS clients accept this as an endpoint: they are strict about host names (RFC
    1123, so no underscore), and say so only with the first request."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port  # of which both are checked when read
    except ValueError:
        return False
    is_host = ":" in host or (len(host) <= 253 and _HOST_NAME.fullmatch(host) is not None)
    return parts.scheme in {"http", "https"} and is_host


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


class LoggingConfig(TableConfig):
    """[logging]: what the daemon tells on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level")
    format: Literal["text", "json"] = Field(
        "text", description="text for people, json for machines"
    )
