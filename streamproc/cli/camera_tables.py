"""Cameras as tables for a terminal. Renders; asks nobody."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rich.console import RenderableType

from streamproc.cli.output import age, facts, plain, size, status_text, table

Camera: TypeAlias = Mapping[str, Any]
"""As ListStreamprocCameras answers it."""

_NONE = (
    "the daemon reads no cameras in this region; give it one in its config: "
    '[cameras.door] url = "rtsp://…", or send one with: streamproc put-media URL --stream door'
)


def camera_table(found: Sequence[Camera], now: float) -> RenderableType:
    if not found:
        return plain(_NONE)
    headings = ("name", "status", "stream", "video", "rate", "last fragment", "url", "message")
    shown = table(*headings, right=("rate", "last fragment"), fold=("url", "message"))
    for each in found:
        message = str(each.get("StatusMessage") or "")
        shown.add_row(
            plain(each["Name"]),
            status_text(each["Status"]),
            plain(each["StreamName"]),
            plain(video(each)),
            f"{size(each['BytesPerSecond'])}/s" if each["Status"] == "LIVE" else "",
            _ago(each, now),
            plain(each["Url"]),
            status_text(each["Status"] if each["Status"] != "LIVE" else "", message),
        )
    return shown


def sight_facts(sight: Camera) -> RenderableType:
    """What `streamproc cameras check` has seen, in the members of its JSON."""
    transcoding = "none: it is sent as it is"
    if sight["Transcoding"]:
        transcoding = f"H.264 is made of {sight['Codec']} here, which costs a core or so"
    if sight["NeedsTranscode"]:
        transcoding += "; ask for it with transcode = true in the config, or --transcode"
    measured = (
        f"{sight['FramesPerSecondMeasured']:.1f} pictures and {size(sight['BytesPerSecond'])} a "
        "second"
    )
    if sight["KeyframeSeconds"]:
        measured += f", a keyframe every {sight['KeyframeSeconds']:.1f} s"
    return facts(
        {
            "camera": plain(sight["Url"]),
            "video": plain(video(sight)),
            "measured": measured,
            "transcoding": transcoding,
            "left out": plain(", ".join(sight["LeftOut"])),
        }
    )


def video(each: Camera) -> str:
    """Such as h264 1920x1080, 25 fps."""
    if "Codec" not in each:
        return ""
    picture = f"{each['Codec']} {each['Width']}x{each['Height']}"
    rate = each.get("FramesPerSecond")
    made = " as H.264" if each.get("Transcoding") else ""
    return picture + (f", {rate:.3g} fps" if rate else "") + made


def _ago(each: Camera, now: float) -> str:
    at = each.get("LastFragmentTimestamp")
    return f"{age(now - at)} ago" if at is not None else ""
