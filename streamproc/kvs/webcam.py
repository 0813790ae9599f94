"""A webcam of this machine, as H.264.

Knows OpenCV's capture, which finds webcams on every system by their number. Knows nothing of
streams. A webcam has no coded form to pass on, so its pictures are always transcoded.
"""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from av import VideoFrame

from streamproc.kvs.camera_failures import CameraUnreachable
from streamproc.kvs.camera_url import SourceUrl
from streamproc.kvs.coded import CodedPacket, Facts
from streamproc.kvs.transcoding import Latest, TimedPicture, encoded

_FPS_MAX = 240


class Webcam:
    """Implements camera_input.Input. Its packets() can be asked for once.

    Raises CameraUnreachable if there is no such webcam, or another program has it.
    """

    def __init__(self, source: SourceUrl, capture: Callable[[int], Any] | None = None) -> None:
        self._source = source
        self.packets_before_keyframe_total = 0
        self._latest: Latest[TimedPicture] | None = None
        self._is_stopped = False
        self._capture = (capture or _capture)(_number(source))
        if not self._capture.isOpened():
            raise CameraUnreachable(
                f"{source} does not open: is it plugged in, does no other program use it, and "
                "may your user read it (on Linux: group video)?"
            )
        import cv2

        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        known = fps if 0 < fps <= _FPS_MAX else None
        self.facts = Facts("raw", width, height, known, transcoding=True)

    @property
    def pictures_dropped_total(self) -> int:
        return self._latest.dropped_total if self._latest is not None else 0

    def stop(self) -> None:
        self._is_stopped = True

    def packets(self) -> Iterator[CodedPacket]:
        self._latest = Latest(self._pictures())
        yield from encoded(self._latest)
        raise CameraUnreachable(f"{self._source} gives no more pictures; is it still plugged in?")

    def _pictures(self) -> Iterator[TimedPicture]:
        try:
            while not self._is_stopped:
                is_read, image = self._capture.read()
                if not is_read:
                    return
                yield TimedPicture(time.monotonic(), VideoFrame.from_ndarray(image, format="bgr24"))
        finally:
            self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._latest is not None:
            self._latest.close()  # the thread that reads releases it
        else:
            self._capture.release()


def _number(source: SourceUrl) -> int:
    return int(source.url.removeprefix("webcam:").removeprefix("/dev/video"))


def _capture(number: int) -> Any:
    import cv2

    cv2.utils.logging.setLogLevel(0)  # it would write to the terminal why it did not open
    return cv2.VideoCapture(number)
