"""Pictures as H.264: for webcams, MJPEG cameras, and video that no Kinesis consumer reads.

Knows libx264 through PyAV, and how to let an encoder that falls behind fall behind no further:
pictures are dropped before they are coded, and counted. Knows nothing of where pictures come from.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

import av
from av.video.frame import PictureType

from streamproc.errors import MediaError
from streamproc.kvs.coded import CodedPacket, Conformer

T = TypeVar("T")

KEYFRAME_S = 1.0
"""A keyframe each second: a fragment may open as often as Kinesis Video advises."""

PICTURES_MAX = 3
"""Decoded pictures that wait for the encoder; one of 4K has 12 MB."""

PIXELS_MAX = 4096 * 2304
"""Level 5.1 of H.264, which is what hardware decodes."""

_TICKS = 90_000
_EARLY_S = 0.005  # times jitter
_DURATION_S = 1 / 25  # of the first picture; each further one lasts as the one before did


@dataclass(frozen=True, slots=True)
class TimedPicture:
    at_s: float  # presentation time, as its source counts it
    frame: av.VideoFrame


class H264Encoder:
    """Codes pictures one by one, without B-frames and without delay.

    Sizes become even, and a picture of another size begins anew: its packets have another track.
    """

    def __init__(self) -> None:
        self._codec: av.VideoCodecContext | None = None
        self._conformer = Conformer("h264", b"", 0, 0)
        self._ticks = 0
        self._keyframe_s: float | None = None
        self._last_s: float | None = None

    def encode(self, picture: TimedPicture) -> list[CodedPacket]:
        """Raises MediaError as require_size() does."""
        width, height = picture.frame.width & ~1, picture.frame.height & ~1
        require_size(width, height)
        if self._codec is None or (self._codec.width, self._codec.height) != (width, height):
            self._codec = _codec(width, height)
            self._keyframe_s = None
        frame = picture.frame.reformat(width, height, format="yuv420p", dst_color_range="MPEG")
        # Two pictures of one time, or a clock that was set back, still follow each other.
        self._ticks = max(self._ticks + 1, round(picture.at_s * _TICKS))
        frame.pts, frame.time_base = self._ticks, Fraction(1, _TICKS)
        opens = self._keyframe_s is None or not (
            0 <= picture.at_s - self._keyframe_s < KEYFRAME_S - _EARLY_S
        )
        frame.pict_type = PictureType.I if opens else PictureType.NONE
        if opens:
            self._keyframe_s = picture.at_s
        gap_s = picture.at_s - self._last_s if self._last_s is not None else 0.0
        self._last_s = picture.at_s
        return [
            packet
            for coded in self._codec.encode(frame)
            if (
                packet := self._conformer.packet(
                    bytes(coded),
                    picture.at_s,
                    gap_s if 0 < gap_s < 1 else _DURATION_S,
                    coded.is_keyframe,
                )
            )
        ]


def require_size(width: int, height: int) -> None:
    """Raises MediaError if a picture has more pixels than 4096 x 2304."""
    if width * height > PIXELS_MAX:
        raise MediaError(
            f"pictures of {width}x{height} are too large to be transcoded; set the camera to "
            "3840x2160 or less, or to H.264"
        )


def encoded(pictures: Iterable[TimedPicture]) -> Iterator[CodedPacket]:
    """Every picture as H.264. Raises MediaError as H264Encoder.encode() does."""
    encoder = H264Encoder()
    for picture in pictures:
        yield from encoder.encode(picture)


class Latest(Generic[T]):
    """What an iterator gives, read on a thread of its own as fast as it comes.

    At most size_max items wait; the oldest is dropped for a newer one, and counted. What the
    iterator raises is raised to the reader, behind what came before. After close() the thread
    ends with the next item, and closes the iterator.
    """

    def __init__(self, items: Iterator[T], size_max: int = PICTURES_MAX) -> None:
        self.dropped_total = 0
        self._items = items
        self._waiting: deque[T] = deque()
        self._size_max = size_max
        self._changed = threading.Condition()
        self._error: Exception | None = None
        self._is_over = self._is_closed = False
        threading.Thread(target=self._read, name="pictures", daemon=True).start()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_over)
                if not self._waiting:
                    break
                item = self._waiting.popleft()
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        with self._changed:
            self._is_closed = self._is_over = True
            self._waiting.clear()
            self._changed.notify_all()

    def _read(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except Exception as error:  # its reader decides what it means
            self._error = error
        finally:
            if (close := getattr(self._items, "close", None)) is not None:
                close()
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        with self._changed:
            if self._is_closed:
                return False
            if len(self._waiting) == self._size_max:
                self._waiting.popleft()
                self.dropped_total += 1
            self._waiting.append(item)
            self._changed.notify_all()
            return True


def _codec(width: int, height: int) -> av.VideoCodecContext:
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base = Fraction(1, _TICKS)
    codec.thread_count = 2
    codec.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "crf": "23",
        "g": "100000",  # keyframes are asked for, by time
        "forced-idr": "1",
    }
    return codec
