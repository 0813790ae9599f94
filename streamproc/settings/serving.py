"""Where the daemon listens and keeps its state, who may call it, and what it tells of itself."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from streamproc.settings.base import TableConfig, is_endpoint_url


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


class ConsoleConfig(TableConfig):
    """[console]: the page at /console/."""

    enabled: bool = Field(True, description="serve it")
    streams_max: int = Field(100, ge=1, description="live connections of all its tabs")


class MetricsConfig(TableConfig):
    """[metrics]: figures for Prometheus at /metrics."""

    enabled: bool = Field(True, description="serve them")
    token: str = Field("", description="bearer token, asked for where auth.required is true")
    token_file: str = Field("", description="a file that holds the token")


class LoggingConfig(TableConfig):
    """[logging]: what the daemon tells on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level")
    format: Literal["text", "json"] = Field(
        "text", description="text for people, json for machines"
    )
