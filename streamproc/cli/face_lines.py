"""A face record as a person would say it: when, who, how surely. Pure."""

import json
from datetime import datetime
from typing import Any

_TEXT_MAX = 200  # of a record that is none of ours


def face_line(data: bytes) -> str:
    """One line: the frame's local time, then everyone in it. Other records show as they are."""
    try:
        record = json.loads(data)
        video = record["InputInformation"]["KinesisVideo"]
        faces = record["FaceSearchResponse"]
        who = ", ".join(_who(face["MatchedFaces"]) for face in faces) or "nobody"
        return f"{_time(video)}  {who}"
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        text = " ".join(data.decode(errors="replace").split())
        return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"


def _who(matches: list[dict[str, Any]]) -> str:
    if not matches:
        return "unknown"
    best = max(matches, key=lambda match: float(match["Similarity"]))
    face = best["Face"]
    return f"{face.get('ExternalImageId') or face['FaceId']} {best['Similarity']:.1f} %"


def _time(video: dict[str, Any]) -> str:
    offset_s = float(video["FrameOffsetInSeconds"])
    if video["ProducerTimestamp"] is None:
        return f"{offset_s:12.3f}"
    moment = datetime.fromtimestamp(video["ProducerTimestamp"] + offset_s).astimezone()
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
