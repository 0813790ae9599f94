"""The cameras that the daemon reads itself: an operation of our own, for `streamproc cameras` and
for the console. Its model is in own_model.py.
"""

from typing import Any

from streamproc.api.service import ApiServices, rekognition
from streamproc.cameras.view import CameraView
from streamproc.gateway.dispatch import RequestContext


@rekognition.operation("ListStreamprocCameras")
async def list_streamproc_cameras(
    services: ApiServices,
    request: dict[str, Any],  # noqa: ARG001 (it has no members)
    context: RequestContext,
) -> dict[str, Any]:
    """All of the region, by name: a configuration is no longer than a page."""
    found = services.cameras.list(context.region) if services.cameras is not None else ()
    return {"Cameras": [camera_members(view) for view in found]}


def camera_members(view: CameraView) -> dict[str, Any]:
    """A StreamprocCamera. What is not known (yet) is None, which counts as absent."""
    return {
        "Name": view.name,
        "Url": view.url,
        "StreamName": view.stream,
        "ProcessorName": view.processor or None,
        "Status": view.status.value,
        "StatusMessage": view.message or None,
        "Codec": view.codec or None,
        "Width": view.width or None,
        "Height": view.height or None,
        "FramesPerSecond": view.fps,
        "BytesPerSecond": view.bytes_per_second,
        "Bytes": view.bytes_total,
        "Fragments": view.fragments_total,
        "Reconnects": view.reconnects_total,
        "PacketsDropped": view.packets_dropped_total,
        "Transcoding": view.transcoding,
        "LastFragmentTimestamp": view.last_fragment_at,
    }
