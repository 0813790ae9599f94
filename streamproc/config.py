"""Where settings come from: command line, environment, file, defaults.

Order of precedence: --set and command-line options, then the environment
(STREAMPROC_ENGINE__PACK), then the file, then the defaults in settings/. config/streamproc.toml
shows every key at its default; a test holds the two together.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

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
    CamerasConfig,
    ConsoleConfig,
    DataConfig,
    EndpointsConfig,
    EngineConfig,
    EventsConfig,
    FacesConfig,
    JobsConfig,
    LoggingConfig,
    MediaConfig,
    MetricsConfig,
    MqttConfig,
    ProcessorsConfig,
    ServerConfig,
    SinkConfig,
    StorageConfig,
    TlsConfig,
    VideoConfig,
    WebhooksConfig,
)

_OF_TABLES: Final = {"cameras", "webhooks"}  # whose keys are names of tables
_WITH_SECRETS: Final = {"cameras", "mqtt", "webhooks", "metrics"}
_SECRET: Final = {"url", "password", "secret", "token"}


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
    cameras: CamerasConfig = CamerasConfig()
    events: EventsConfig = EventsConfig()
    mqtt: MqttConfig = MqttConfig()
    webhooks: WebhooksConfig = WebhooksConfig()
    console: ConsoleConfig = ConsoleConfig()
    metrics: MetricsConfig = MetricsConfig()
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
    given = overrides or {}
    # The source is chosen per call, so it lives on a class of its own.
    settings = type("_FileConfig", (Config,), {"toml_file": file, "__module__": __name__})
    try:
        config = settings(**{table: _nested(table, keys) for table, keys in given.items()})
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
    value = "" if _may_hold_secrets(error) else f" = {error['input']!r}"
    return f"config key {key}{value}: {error['msg'].removeprefix('Value error, ')}"


def _may_hold_secrets(error: Any) -> bool:
    """Whether the value of a wrong key could be, or contain, a password: of a table that has such
    keys, written as a whole or wrongly, or a URL with a login."""
    table, key = error["loc"][0], error["loc"][-1]
    if table not in _WITH_SECRETS:
        return False
    value = error["input"]
    is_misplaced = error["type"] in {"model_type", "dict_type"}  # a word where a table should be
    return (
        is_misplaced
        or key in _SECRET
        or not isinstance(value, str | int | float)
        or "@" in str(value)
    )


def _nested(table: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a table of tables, as --set writes them: door.url is url of door."""
    if table not in _OF_TABLES:
        return dict(keys)  # elsewhere a key may have a dot of its own: buckets.my.bucket
    found: dict[str, Any] = {}
    for path, value in keys.items():
        name, dot, key = path.rpartition(".")
        if dot and isinstance(named := found.setdefault(name, {}), dict):
            named[key] = value
        else:
            found[path] = value
    return found
