"""What can be set: one model per table of the configuration, each key declared once.

Ranges and defaults live here and nowhere else. Where the values come from is config.py's.
"""

from streamproc.settings.analysis import (
    AnalysisConfig,
    EngineConfig,
    FacesConfig,
    JobsConfig,
    MediaConfig,
    ProcessorsConfig,
)
from streamproc.settings.base import (
    TableConfig,
    is_endpoint_url,
)
from streamproc.settings.people import (
    CameraConfig,
    CamerasConfig,
    EventsConfig,
    MqttConfig,
    WebhookConfig,
    WebhooksConfig,
)
from streamproc.settings.serving import (
    AuditConfig,
    AuthConfig,
    ConsoleConfig,
    LoggingConfig,
    MetricsConfig,
    ServerConfig,
    StorageConfig,
    TlsConfig,
)
from streamproc.settings.streams import (
    AwsConfig,
    BucketsConfig,
    DataConfig,
    EndpointsConfig,
    SinkConfig,
    VideoConfig,
)

__all__ = [
    "AnalysisConfig",
    "AuditConfig",
    "AuthConfig",
    "AwsConfig",
    "BucketsConfig",
    "CameraConfig",
    "CamerasConfig",
    "ConsoleConfig",
    "DataConfig",
    "EndpointsConfig",
    "EngineConfig",
    "EventsConfig",
    "FacesConfig",
    "JobsConfig",
    "LoggingConfig",
    "MediaConfig",
    "MetricsConfig",
    "MqttConfig",
    "ProcessorsConfig",
    "ServerConfig",
    "SinkConfig",
    "StorageConfig",
    "TableConfig",
    "TlsConfig",
    "VideoConfig",
    "WebhookConfig",
    "WebhooksConfig",
    "is_endpoint_url",
]
