"""The embedded Kinesis Video service: streams, PutMedia, GetMedia and a durable archive.

VideoStreams holds the state; control, media and archived are the three AWS services over it,
to be bound and given to the gateway:

    streams = await VideoStreams.open(folder, config.video, account_id, clock)
    app = build_app([control.bind(streams), media.bind(streams), archived.bind(streams)], ...)
"""

from streamproc.local.kinesis_video import (  # noqa: F401 (they register their operations)
    archive_operations,
    control_operations,
    get_media,
    put_media,
)
from streamproc.local.kinesis_video.service import archived, control, media
from streamproc.local.kinesis_video.streams import VideoStreams

__all__ = ["VideoStreams", "archived", "control", "media"]
