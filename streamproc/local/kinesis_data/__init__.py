"""The embedded Kinesis Data service: durable data streams behind the gateway."""

from streamproc.local.kinesis_data import (  # noqa: F401 (they register their operations)
    record_operations,
    shard_operations,
    stream_operations,
    tag_operations,
)
from streamproc.local.kinesis_data.service import service
from streamproc.local.kinesis_data.streams import DataStreams

__all__ = ["DataStreams", "service"]
