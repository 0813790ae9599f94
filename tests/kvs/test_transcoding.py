"""Pictures as H.264, on the way."""

import threading
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from av import VideoFrame

from streamproc.decode.decoder import VideoDecoder
from streamproc.errors import MediaError
from streamproc.kvs.camera_failures import CameraUnreachable
from streamproc.kvs.camera_url import parse_source
from streamproc.kvs.coded import CodedPacket
from streamproc.kvs.transcoding import H264Encoder, Latest, TimedPicture, encoded
from streamproc.kvs.webcam import Webcam
from streamproc.model.media import Fragment, FragmentStarted, Packet
from tests.conftest import wait_until


def picture(at_s: float, size: tuple[int, int] = (160, 120), grey: int = 100) -> TimedPicture:
    image = np.full((size[1], size[0], 3), grey, np.uint8)
    return TimedPicture(at_s, VideoFrame.from_ndarray(image, format="bgr24"))


def shown(packets: list[CodedPacket]) -> list[tuple[int, int, float]]:
    """Width, height and mean grey of every picture that a consumer decodes."""
    decoder = VideoDecoder()
    pictures = []
    track = None
    for number, packet in enumerate(packets):
        if packet.track != track:
            track = packet.track
            pictures += decoder.feed(FragmentStarted(Fragment("1", 0, 0, 0, (track,))))
        offset_ns = number * 40_000_000
        pictures += decoder.feed(Packet(1, offset_ns, packet.keyframe, packet.payload))
    images = [found.image() for found in [*pictures, *decoder.flush()]]
    return [(image.shape[1], image.shape[0], float(image.mean())) for image in images]


def test_every_picture_becomes_a_packet_at_once() -> None:
    encoder = H264Encoder()
    packets = [packet for n in range(50) for packet in encoder.encode(picture(n / 25))]
    assert len(packets) == 50
    assert [packet.pts_s for packet in packets] == [n / 25 for n in range(50)]
    assert [width for width, _, _ in shown(packets)] == [160] * 50
    assert [round(grey) for *_, grey in shown(packets)] == pytest.approx([100] * 50, abs=6)


@pytest.mark.parametrize("fps", [1, 7, 25, 60])
def test_a_keyframe_comes_each_second(fps: int) -> None:
    packets = list(encoded(picture(n / fps) for n in range(fps * 4)))
    keyframes = [packet.pts_s for packet in packets if packet.keyframe]
    assert len(keyframes) == 4
    assert all(0.95 <= after - before <= 1.15 for before, after in pairwise(keyframes))


def test_odd_sizes_become_even() -> None:
    packets = list(encoded([picture(0.0, (161, 121))]))
    assert shown(packets)[0][:2] == (160, 120)
    assert (packets[0].track.width, packets[0].track.height) == (160, 120)


def test_a_new_size_begins_a_new_track_on_a_keyframe() -> None:
    sizes = [(160, 120)] * 5 + [(320, 240)] * 5
    packets = list(encoded(picture(n / 25, size) for n, size in enumerate(sizes)))
    assert len({packet.track for packet in packets}) == 2
    assert packets[5].keyframe
    assert [size[:2] for size in shown(packets)] == sizes


def test_a_clock_that_steps_back_or_stands_still_does_no_harm() -> None:
    times = [10.0, 10.0, 9.0, 9.04, 9.04, 500.0]
    packets = list(encoded(map(picture, times)))
    assert [packet.pts_s for packet in packets] == times


def test_what_is_too_large_is_told_with_the_way_out() -> None:
    with pytest.raises(MediaError, match=r"pictures of 8192x4320 are too large.*or to H\.264"):
        H264Encoder().encode(picture(0.0, (8192, 4320)))


def test_an_encoder_that_falls_behind_drops_the_oldest_and_counts() -> None:
    all_read = threading.Event()

    def numbers() -> Iterator[int]:
        yield from range(100)
        all_read.set()

    latest = Latest(numbers(), size_max=3)
    assert all_read.wait(60)
    assert list(latest) == [97, 98, 99]
    assert latest.dropped_total == 97


def test_what_its_source_raises_comes_behind_what_it_gave() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise MediaError("broken")

    latest = iter(Latest(broken()))
    assert next(latest) == 1
    with pytest.raises(MediaError, match="broken"):
        next(latest)


def test_closing_ends_the_thread_that_reads() -> None:
    ended = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            ended.set()

    latest = Latest(endless())
    next(iter(latest))
    latest.close()
    assert ended.wait(60)
    assert list(latest) == []


class Capture:
    """What OpenCV gives for a webcam that is unplugged after so many pictures."""

    def __init__(self, pictures: int, *, opened: bool = True) -> None:
        self._left = pictures
        self._opened = opened
        self.is_released = False
        self.go = threading.Semaphore(0)

    def isOpened(self) -> bool:
        return self._opened

    def get(self, _property: int) -> float:
        return {3: 64.0, 4: 48.0, 5: 30.0}[_property]

    def read(self) -> tuple[bool, object]:
        assert self.go.acquire(timeout=60)
        self._left -= 1
        return self._left >= 0, np.full((48, 64, 3), 90, np.uint8)

    def release(self) -> None:
        self.is_released = True


class TestWebcam:
    def test_its_pictures_become_h264(self) -> None:
        capture = Capture(10)
        with Webcam(parse_source("webcam:0"), lambda _number: capture) as webcam:
            assert str(webcam.facts) == "raw 64x48 at 30 fps"
            assert webcam.facts.transcoding
            packets = webcam.packets()
            got = []
            for _ in range(10):
                capture.go.release()
                got.append(next(packets))
            assert [size[:2] for size in shown(got)] == [(64, 48)] * 10
            capture.go.release()
            with pytest.raises(CameraUnreachable, match="webcam:0 gives no more pictures"):
                next(packets)
        wait_until(lambda: capture.is_released, 60)

    def test_it_can_be_left(self) -> None:
        capture = Capture(1000)
        with Webcam(parse_source("webcam:0"), lambda _number: capture) as webcam:
            packets = webcam.packets()
            capture.go.release()
            next(packets)
            webcam.stop()
            capture.go.release()
            with pytest.raises(CameraUnreachable):
                list(packets)
        wait_until(lambda: capture.is_released, 60)

    def test_numbers_are_taken_from_either_name(self) -> None:
        numbers: list[int] = []

        def open_(number: int) -> Capture:
            numbers.append(number)
            return Capture(0)

        for name in ("webcam:1", "/dev/video2"):
            with Webcam(parse_source(name), open_):
                pass
        assert numbers == [1, 2]

    def test_one_that_is_not_there_is_told(self) -> None:
        with pytest.raises(CameraUnreachable, match="webcam:0 does not open: is it plugged in"):
            Webcam(parse_source("webcam:0"), lambda _number: Capture(0, opened=False))

    def test_opencv_says_nothing_on_the_terminal(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(CameraUnreachable):
            Webcam(parse_source("webcam:97"))
        assert capfd.readouterr() == ("", "")
