"""Where settings come from: command line, environment, file, defaults.

Order of precedence: --set and command-line options, then the environment
(STREAMPROC_ENGINE__PACK), then the file, then the defaults in settings.py. config/streamproc.toml
shows every key at its default; a test holds the two together.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from streamproc.errors import ConfigError
from streamproc.settings import (
    AnalysisConfig,
    AuditConfig,
    AuthConfig,
    AwsConfig,
    BucketsConfig,
    DataConfig,
    EndpointsConfig,
    EngineConfig,
    FacesConfig,
    JobsConfig,
    LoggingConfig,
    MediaConfig,
    ProcessorsConfig,
    ServerConfig,
    SinkConfig,
    StorageConfig,
    TlsConfig,
    VideoConfig,
)


class Config(BaseSettings):
    """All tables. Build it with load_config, which reports errors by key."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMPROC_", env_nested_delimiter="__", extra="forbid", frozen=True
    )
    toml_file: ClassVar[Path | None] = None

    server: ServerConfig = ServerConfig()
    auth: AuthConfig = AuthConfig()
    tls: TlsConfig = TlsConfig()
    audit: AuditConfig = AuditConfig()
    storage: StorageConfig = StorageConfig()
    engine: EngineConfig = EngineConfig()
    analysis: AnalysisConfig = AnalysisConfig()
    media: MediaConfig = MediaConfig()
    faces: FacesConfig = FacesConfig()
    processors: ProcessorsConfig = ProcessorsConfig()
    jobs: JobsConfig = JobsConfig()
    sink: SinkConfig = SinkConfig()
    endpoints: EndpointsConfig = EndpointsConfig()
    buckets: BucketsConfig = BucketsConfig()
    aws: AwsConfig = AwsConfig()
    video: VideoConfig = VideoConfig()
    data: DataConfig = DataConfig()
    logging: LoggingConfig = LoggingConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (pydantic names them)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, toml_file=cls.toml_file)
        return init_settings, env_settings, toml


def load_config(
    file: Path | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> Config:
    """Read the file, the environment and the overrides ({table: {key: value}}).

    Raises ConfigError naming the key, its value and what would be allowed.
    """
    if file is not None and not file.is_file():
        raise ConfigError(f"config file {file} does not exist")
    # The source is chosen per call, so it lives on a class of its own.
    settings = type("_FileConfig", (Config,), {"toml_file": file, "__module__": __name__})
    try:
        config = settings(**{table: dict(keys) for table, keys in (overrides or {}).items()})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {file} is not TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"config file {file} cannot be read: {error.strerror}") from None
    except SettingsError as error:
        raise ConfigError(
            f"{error}: a table (STREAMPROC_ENGINE) or a list (STREAMPROC_ENGINE__PROVIDERS) in "
            "the environment is written as JSON"
        ) from None
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(item) for item in error.errors())) from None
    assert isinstance(config, Config)
    return config


def parse_assignment(text: str) -> tuple[str, str, Any]:
    """Read one table.key=value of --set; the value is TOML, or a bare word for a string.

    Raises ConfigError if it has another form.
    """
    path, equals, raw = text.partition("=")
    table, dot, key = path.strip().partition(".")
    if not (equals and dot and table and key):
        raise ConfigError(f"--set {text}: expected table.key=value, such as engine.pack=buffalo_l")
    try:
        value = tomllib.loads(f"value = {raw.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw.strip()
    return table, key, value


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"config key {key} is not known; config/streamproc.toml lists them all"
    return f"config key {key} = {error['input']!r}: {error['msg']}"
