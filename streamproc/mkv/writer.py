"""Write Matroska the way producers and the Kinesis video service do.

Sans-I/O: values go in, bytes come out. Knows the layout that consumers rely on; knows
nothing of codecs: a payload must already be in the form its track's CodecPrivate names.
"""

from collections.abc import Sequence
from typing import Final

from streamproc.mkv.ebml import UNKNOWN_SIZE, Id, element, id_bytes, size_bytes, uint_bytes
from streamproc.model.media import Track, TrackKind

SEGMENT_HEADER: Final = id_bytes(Id.SEGMENT) + UNKNOWN_SIZE
"""The 12 bytes that open every Segment of a GetMedia body."""

OFFSET_MS_MIN: Final = -32_768  # a block's timecode is a signed 16-bit integer
OFFSET_MS_MAX: Final = 32_767

_APPLICATION: Final = b"streamproc"
_TIMECODE_SCALE_NS: Final = 1_000_000
_TRACK_TYPE: Final = {TrackKind.VIDEO: 1, TrackKind.AUDIO: 2, TrackKind.OTHER: 0x20}


def aws_tags(pairs: Sequence[tuple[str, str]]) -> bytes:
    """A Tags element with one Tag of (name, value) pairs, byte for byte as the service's own.

    Every size takes 4 bytes and the Tag has no Targets, as in recorded GetMedia bodies.
    """
    simple_tags = (
        element(
            Id.SIMPLE_TAG,
            element(Id.TAG_NAME, name.encode(), size_length=4),
            element(Id.TAG_STRING, value.encode(), size_length=4),
            size_length=4,
        )
        for name, value in pairs
    )
    tag = element(Id.TAG, *simple_tags, size_length=4)
    return element(Id.TAGS, tag, size_length=4)


class MkvWriter:
    """Mux packets into one document whose Clusters have unknown sizes: every packet may leave
    as soon as it is written. Timecodes are in milliseconds.

    Call header() once, then for each fragment cluster() and its block()s; tags() between.
    """

    def header(self, tracks: Sequence[Track]) -> bytes:
        """EBML header, Segment of unknown size, Info and Tracks. Raises ValueError without
        tracks or where two have the same number."""
        numbers = [track.number for track in tracks]
        if not numbers or len(set(numbers)) < len(numbers) or not all(0 < n < 127 for n in numbers):
            raise ValueError(f"tracks numbered {numbers}: give each its own number, 1 to 126")
        ebml = element(
            Id.EBML,
            element(Id.EBML_VERSION, b"\x01"),
            element(Id.EBML_READ_VERSION, b"\x01"),
            element(Id.EBML_MAX_ID_LENGTH, b"\x04"),
            element(Id.EBML_MAX_SIZE_LENGTH, b"\x08"),
            element(Id.DOC_TYPE, b"matroska"),
            element(Id.DOC_TYPE_VERSION, b"\x02"),
            element(Id.DOC_TYPE_READ_VERSION, b"\x02"),
        )
        info = element(
            Id.INFO,
            element(Id.TIMECODE_SCALE, uint_bytes(_TIMECODE_SCALE_NS)),
            element(Id.MUXING_APP, _APPLICATION),
            element(Id.WRITING_APP, _APPLICATION),
        )
        entries = element(Id.TRACKS, *map(_track_entry, tracks))
        return ebml + SEGMENT_HEADER + info + entries

    def cluster(self, timecode_ms: int) -> bytes:
        """Open a Cluster of unknown size; it lasts until the next cluster() or tags()."""
        if timecode_ms < 0:
            raise ValueError(f"timecode_ms {timecode_ms} is negative; Matroska counts from 0")
        timecode = element(Id.TIMECODE, timecode_ms.to_bytes(8, "big"))
        return id_bytes(Id.CLUSTER) + UNKNOWN_SIZE + timecode

    def block(self, track: int, rel_ms: int, keyframe: bool, payload: bytes) -> bytes:
        """One SimpleBlock, rel_ms after its Cluster's timecode.

        Raises ValueError outside OFFSET_MS_MIN..OFFSET_MS_MAX: open a new Cluster first.
        """
        if not OFFSET_MS_MIN <= rel_ms <= OFFSET_MS_MAX:
            raise ValueError(
                f"rel_ms {rel_ms} is outside {OFFSET_MS_MIN}..{OFFSET_MS_MAX}: open a new Cluster"
            )
        head = size_bytes(track) + rel_ms.to_bytes(2, "big", signed=True)
        return element(Id.SIMPLE_BLOCK, head + (b"\x80" if keyframe else b"\x00"), payload)

    def tags(self, pairs: Sequence[tuple[str, str]]) -> bytes:
        """A Tags element; it ends the open Cluster."""
        return aws_tags(pairs)


def _track_entry(track: Track) -> bytes:
    parts = [
        element(Id.TRACK_NUMBER, uint_bytes(track.number)),
        element(Id.TRACK_UID, uint_bytes(track.number)),
        element(Id.TRACK_TYPE, uint_bytes(_TRACK_TYPE[track.kind])),
        element(Id.FLAG_LACING, b"\x00"),
        element(Id.CODEC_ID, track.codec_id.encode()),
    ]
    if track.name:
        parts.append(element(Id.NAME, track.name.encode()))
    if track.codec_private:
        parts.append(element(Id.CODEC_PRIVATE, track.codec_private))
    if track.kind is TrackKind.VIDEO:
        size = (
            element(Id.PIXEL_WIDTH, uint_bytes(track.width)),
            element(Id.PIXEL_HEIGHT, uint_bytes(track.height)),
        )
        parts.append(element(Id.VIDEO, *size))
    return element(Id.TRACK_ENTRY, *parts)
