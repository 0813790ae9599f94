"""The documents that GetMedia sends: what the service puts around a producer's bytes.

One Matroska document per fragment: the session's header, tags with number and timestamps, the
Cluster and what followed it, and in GetMedia a second set of tags that says the document is
whole. Pure; the layout is that of recorded GetMedia bodies.
"""

from typing import Final

from streamproc.mkv.ebml import Id, element
from streamproc.mkv.writer import SEGMENT_HEADER, aws_tags

FRAGMENT_NOT_FOUND: Final = (3000, "FRAGMENT_NOT_FOUND")

_NUMBER: Final = "AWS_KINESISVIDEO_FRAGMENT_NUMBER"


def opening(header: bytes, number: str, server_ms: int, producer_ms: int) -> bytes:
    """Everything before the Cluster."""
    return header + aws_tags(
        [
            (_NUMBER, number),
            ("AWS_KINESISVIDEO_SERVER_TIMESTAMP", _seconds(server_ms)),
            ("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", _seconds(producer_ms)),
        ]
    )


def closing(number: str, millis_behind_now: int) -> bytes:
    """The tags that end a whole document; the token is the fragment's own number."""
    return aws_tags(
        [
            ("AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", str(millis_behind_now)),
            ("AWS_KINESISVIDEO_CONTINUATION_TOKEN", number),
        ]
    )


def failure(number: str, error: tuple[int, str]) -> bytes:
    """A document that says in-band, behind status 200, what could not be delivered.

    The one recorded sample has just the three DocType elements in its EBML header.
    """
    error_id, code = error
    ebml = element(
        Id.EBML,
        element(Id.DOC_TYPE, b"matroska"),
        element(Id.DOC_TYPE_VERSION, b"\x02"),
        element(Id.DOC_TYPE_READ_VERSION, b"\x02"),
    )
    tags = aws_tags(
        [
            (_NUMBER, number),
            ("AWS_KINESISVIDEO_ERROR_CODE", code),
            ("AWS_KINESISVIDEO_ERROR_ID", str(error_id)),
        ]
    )
    return ebml + SEGMENT_HEADER + tags


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"
