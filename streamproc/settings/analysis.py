"""Models, media, faces, and how processors and jobs use them."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from streamproc.settings.base import TableConfig


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
        60.0,
        gt=0,
        description="no media for this long, or none that can be analysed, is told in the "
        "StatusMessage",
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
