"""Video of which no picture can be analysed is told, with what is seen of it."""

import pytest

from streamproc.model.media import Fragment, FragmentStarted, Packet, Track, TrackKind
from streamproc.processor.blindness import BlindnessWatch
from streamproc.processor.view import Counters

SOUND, VIDEO = Track(1, TrackKind.AUDIO, "A_AAC"), Track(2, TrackKind.VIDEO, "V_MPEG4/ISO/AVC")


class Watched:
    """A watch and a camera that sends a packet a second."""

    def __init__(self, fps: float = 5.0) -> None:
        self.counters = Counters()
        self.told: list[str] = []
        self.watch = BlindnessWatch(60.0, self.counters, self.told.append)
        self.watch.follow(FragmentStarted(Fragment("1", None, None, 0, (SOUND, VIDEO))))
        self.now = 0.0
        self.fps = fps

    def send(
        self, seconds: int, *, track: int = 2, keyframes: bool = True, stamped: bool = True
    ) -> None:
        for _ in range(seconds):
            offset_ns = round(self.now * 1e9) if stamped else 0
            self.watch.follow(Packet(track, offset_ns, keyframes, b"coded"))
            self.watch.came(self.now, self.fps)
            self.now += 1.0


def test_pictures_that_are_damaged_are_told_with_their_number_and_taken_back() -> None:
    watched = Watched()
    watched.counters.frames_corrupt_total = 7  # of an earlier time
    watched.watch.sampled()
    watched.send(40)
    watched.counters.frames_corrupt_total += 10
    watched.counters.packets_undecodable_total += 15
    watched.send(20)
    assert watched.told == []
    watched.send(1)
    assert watched.told == [
        "Video has come for 60 s, but no picture of it could be decoded: of the last 30 packets 15 "
        "were refused, and 10 gave damaged pictures. If another player shows it well, start the "
        "producer again; if not, mend the camera's way to it (TCP instead of UDP) or the "
        "camera's encoder."
    ]
    watched.send(59)
    assert len(watched.told) == 1
    watched.send(1)
    assert watched.told[-1].startswith("Video has come for 120 s")
    watched.watch.sampled()
    assert watched.told[-1] == ""
    watched.send(50)
    assert len(watched.told) == 3


def test_sound_alone_is_no_video() -> None:
    watched = Watched()
    watched.send(61, track=1)
    assert watched.told[0].startswith("Data has come for 60 s, but no new video in it")


def test_fragments_that_are_not_delivered_are_told() -> None:
    watched = Watched()
    watched.send(5)
    watched.send(50, track=1)
    watched.counters.fragments_failed_total = 3
    watched.send(6, track=1)
    assert "failed to deliver 3 fragments" in watched.told[0]


def test_video_without_keyframes_is_told_with_the_setting_of_the_camera() -> None:
    watched = Watched()
    watched.send(61, keyframes=False)
    assert "no keyframe" in watched.told[0]
    assert "GOP" in watched.told[0]


def test_timestamps_that_stand_still_are_told() -> None:
    watched = Watched()
    watched.send(61, stamped=False)
    assert "its timestamps stand still or repeat" in watched.told[0]


def test_video_that_is_all_passed_over_is_told_with_what_to_do() -> None:
    watched = Watched()
    watched.send(50)
    watched.counters.packets_passed_over_total = 25
    watched.send(11)
    assert "it was late and passed over" in watched.told[0]
    assert "processors.analysis_fps" in watched.told[0]


@pytest.mark.parametrize("off_s", [61.0, 3600.0])
def test_a_camera_that_comes_back_is_not_blind_for_the_time_that_it_was_off(off_s: float) -> None:
    watched = Watched()
    watched.watch.sampled()
    watched.send(10)
    watched.now += off_s
    watched.send(15)
    watched.watch.sampled()
    assert watched.told == []


def test_frames_that_are_far_apart_by_the_rate_are_waited_for() -> None:
    watched = Watched(fps=0.01)
    watched.send(200)
    assert watched.told == []
    watched.send(1)
    assert len(watched.told) == 1
