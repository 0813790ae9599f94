"""What people bring and get: cameras, events, and whom these are told."""

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, RootModel, field_validator, model_validator

from streamproc.settings.base import TableConfig

_STREAM_NAME = re.compile(r"[0-9A-Za-z._-]{1,128}")  # as all three services have it
_STREAM_NAME_RULE = '1 to 128 letters, digits, ".", "_", "-"'
_COLLECTION_ID = re.compile(r"[0-9A-Za-z._-]{1,255}")
_TOPIC = re.compile(r"[0-9A-Za-z_.-]{1,64}(/[0-9A-Za-z_.-]{1,64}){0,7}")
_HOOK_NAME = re.compile(r"[0-9A-Za-z_.-]{1,64}")


def _is_url(text: str, schemes: set[str]) -> bool:
    """Whether it has one of these schemes, and a host."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # of which both are checked when read
    except ValueError:
        return False
    return parts.scheme in schemes and bool(host) and not re.search(r"[\s\x00-\x1f]", text)


class CameraConfig(TableConfig):
    """[cameras.NAME]: one camera; what it shows goes to a video stream."""

    url: str = Field(
        "", repr=False, description="rtsp(s)://, http(s)://, webcam:0 or the path of a file"
    )
    url_file: str = Field("", description="a file that holds the URL, where that has a password")
    transport: Literal["tcp", "udp"] = Field("tcp", description="how RTSP carries media")
    transcode: bool = Field(
        False, description="encode as H.264 what is neither H.264 nor H.265; costs a core or so"
    )
    region: str = Field(
        "", pattern=r"^[a-z0-9-]*$", description="of its streams; empty means server.region"
    )
    stream: str = Field("", description="its video stream; empty means the camera's name")
    retention_hours: int = Field(
        0, ge=0, le=87_600, description="of its video stream, where that is made for it"
    )
    collection: str = Field(
        "", description="search these people in it: a processor of its name is made and started"
    )
    data_stream: str = Field("", description="the processor's; empty means NAME-faces")
    face_match_threshold: float = Field(90.0, ge=0, le=100, description="the processor's")
    role_arn: str = Field("", description="the processor's, where aws.role is assume")

    @field_validator("stream", "data_stream")
    @classmethod
    def _stream_name(cls, value: str) -> str:
        if value and not _STREAM_NAME.fullmatch(value):
            raise ValueError(f'"{value}" is no stream name: {_STREAM_NAME_RULE}')
        return value

    @field_validator("collection")
    @classmethod
    def _collection_id(cls, value: str) -> str:
        if value and not _COLLECTION_ID.fullmatch(value):
            raise ValueError(
                f'"{value}" is no CollectionId: 1 to 255 letters, digits, "_", ".", "-"'
            )
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.url) == bool(self.url_file):
            given = "both are" if self.url else "neither is"
            raise ValueError(f"{given} given of url and url_file; give one of them")
        return self


class CamerasConfig(RootModel[dict[str, CameraConfig]]):
    """[cameras]: cameras that the daemon itself reads, by name."""

    model_config = ConfigDict(frozen=True)

    root: dict[str, CameraConfig] = {}

    @field_validator("root")
    @classmethod
    def _named(cls, value: dict[str, CameraConfig]) -> dict[str, CameraConfig]:
        for name, camera in value.items():
            derived = [name, camera.data_stream or f"{name}-faces"] if camera.collection else [name]
            if not all(map(_STREAM_NAME.fullmatch, derived)):
                raise ValueError(
                    f'"{name}" cannot name a camera, its streams and its processor: '
                    f"{_STREAM_NAME_RULE}"
                )
        return value


class EventsConfig(TableConfig):
    """[events]: who came and who went, told once each."""

    enabled: bool = Field(True, description="keep the event log, events.db")
    exit_after_s: float = Field(
        5.0, gt=0, le=3600, description="a person not seen for this long has left"
    )
    update_s: float = Field(10.0, ge=1, description="least time between two updates of a visit")
    strangers: bool = Field(True, description="tell of people whom nobody knows, as unknown-7")
    stranger_memory_s: float = Field(
        60.0, ge=0, le=3600, description="a stranger who comes back within this has the same name"
    )
    visits_max: int = Field(100, ge=1, description="open visits per processor; more are not told")
    kept_days: float = Field(30.0, gt=0, description="how long events are kept")
    kept_max: int = Field(1_000_000, ge=1000, description="how many events are kept")
    face_pictures_kept_hours: float = Field(
        0.0, ge=0, description="pictures of seen faces on disk; 0 keeps none but in memory"
    )


class MqttConfig(TableConfig):
    """[mqtt]: events for an MQTT broker."""

    url: str = Field("", description="mqtt://host:1883 or mqtts://host:8883; empty means none")
    username: str = Field("", description="login, where the broker asks for one")
    password: str = Field("", description="its password; better in password_file")
    password_file: str = Field("", description="a file that holds the password")
    client_id: str = Field("streamproc", min_length=1, description="unique at the broker")
    keepalive_s: float = Field(
        30.0, ge=5, le=3600, description="the broker takes us for gone after half as much again"
    )
    ca_file: str = Field("", description="authorities to trust; empty means the system's")
    certificate_file: str = Field("", description="our certificate, where the broker wants one")
    private_key_file: str = Field("", description="its private key")
    topic_prefix: str = Field("streamproc", description="every topic begins with it")
    home_assistant: bool = Field(True, description="announce devices to Home Assistant")
    home_assistant_prefix: str = Field("homeassistant", description="its discovery prefix")
    events_waiting_max: int = Field(
        100_000, ge=1, description="while the broker is away; the oldest are passed over"
    )

    @field_validator("url")
    @classmethod
    def _of_a_broker(cls, value: str) -> str:
        if value and not _is_url(value, {"mqtt", "mqtts"}):
            raise ValueError(
                "this is no mqtt:// or mqtts:// URL of a host; such as mqtt://host:1883"
            )
        parts = urlsplit(value)
        if parts.username is not None:
            raise ValueError("a login is not part of it; see mqtt.username and mqtt.password_file")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("nothing follows the port; see mqtt.topic_prefix")
        return value

    @field_validator("topic_prefix", "home_assistant_prefix")
    @classmethod
    def _levels(cls, value: str) -> str:
        if not _TOPIC.fullmatch(value):
            raise ValueError(
                'a topic is words with "/" between them, of letters, digits, "_", ".", "-"'
            )
        return value

    @field_validator("password_file", "ca_file", "certificate_file", "private_key_file")
    @classmethod
    def _expand(cls, value: str) -> str:
        return str(Path(value).expanduser()) if value else ""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password and self.password_file:
            raise ValueError("mqtt.password and mqtt.password_file are both set; leave one out")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("mqtt.password needs mqtt.username, as the protocol has it")
        return self


class WebhookConfig(TableConfig):
    """[webhooks.NAME]: events for a URL."""

    url: str = Field(description="where events are posted, as JSON")
    secret: str = Field("", description="signs each request: X-Streamproc-Signature")
    events: list[Literal["enter", "update", "exit", "state"]] = Field(
        ["enter", "exit", "state"], description="the kinds that are posted"
    )
    processors: list[str] = Field([], description="only of these; empty means all")
    timeout_s: float = Field(10.0, gt=0, le=120, description="an answer is there by then")
    events_waiting_max: int = Field(
        100_000, ge=1, description="while it does not answer; the oldest are passed over"
    )

    @field_validator("url")
    @classmethod
    def _of_a_host(cls, value: str) -> str:
        if not _is_url(value, {"http", "https"}):
            raise ValueError("this is no http:// or https:// URL of a host")
        return value


class WebhooksConfig(RootModel[dict[str, WebhookConfig]]):
    """[webhooks]: URLs that are told of events, by name."""

    model_config = ConfigDict(frozen=True)

    root: dict[str, WebhookConfig] = {}

    @field_validator("root")
    @classmethod
    def _named(cls, value: dict[str, WebhookConfig]) -> dict[str, WebhookConfig]:
        for name in value:
            if not _HOOK_NAME.fullmatch(name):
                raise ValueError(f'"{name}" is no name: 1 to 64 letters, digits, "_", ".", "-"')
        return value
