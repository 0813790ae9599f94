"""Where we are kinder than the service, and how long a fragment is said to be."""

import pytest

from streamproc.local.kinesis_video.acks import AckEvent, Refused, encode_ack
from streamproc.local.kinesis_video.rules import FragmentRules
from tests.local.kinesis_video.support import AUDIO, VIDEO


@pytest.fixture
def rules() -> FragmentRules:
    rules = FragmentRules(bytes_max=1000, duration_s_max=20)
    rules.begin_session((VIDEO, AUDIO), 1_000_000)
    rules.begin_fragment(0, 0)
    return rules


def test_a_fragment_may_be_short_and_without_audio(rules: FragmentRules) -> None:
    rules.frame(VIDEO.number, 0)
    assert rules.end_fragment() == 0


def test_a_fragment_without_video_is_refused(rules: FragmentRules) -> None:
    rules.frame(AUDIO.number, 0)
    with pytest.raises(Refused, match="no frame of track"):
        rules.end_fragment()


def test_audio_alone_is_a_stream_too() -> None:
    rules = FragmentRules(bytes_max=1000, duration_s_max=20)
    rules.begin_session((AUDIO,), 1_000_000)
    rules.begin_fragment(0, 0)
    rules.frame(AUDIO.number, 0)
    rules.frame(AUDIO.number, 20)
    assert rules.end_fragment() == 40


def test_b_frames_may_reach_behind_the_fragment_before(rules: FragmentRules) -> None:
    for offset in (0, 99, 33, 66):
        rules.frame(VIDEO.number, offset)
    assert rules.end_fragment() == 132
    rules.begin_fragment(100, 100)
    rules.frame(VIDEO.number, -10)


@pytest.mark.parametrize(
    ("scale_ns", "offsets", "length_ms"),
    [
        (1_000_000, range(0, 1000, 100), 1000),
        (100_000, range(0, 10_000, 1000), 1000),
        (1_000_000, [round(n * 1001 / 30) for n in range(30)], 1001),
    ],
)
def test_the_last_frame_lasts_as_long_as_the_others(
    scale_ns: int, offsets: list[int], length_ms: int
) -> None:
    rules = FragmentRules(bytes_max=1000, duration_s_max=20)
    rules.begin_session((VIDEO,), scale_ns)
    rules.begin_fragment(0, 0)
    for offset in offsets:
        rules.frame(VIDEO.number, offset)
    assert rules.end_fragment() == pytest.approx(length_ms, abs=1)


def test_what_an_acknowledgement_lacks_is_left_out() -> None:
    assert encode_ack(AckEvent.IDLE) == b'{"EventType":"IDLE"}\n'
    assert encode_ack(AckEvent.BUFFERING, timecode=1600994737365, number="91") == (
        b'{"EventType":"BUFFERING","FragmentTimecode":1600994737365,"FragmentNumber":"91"}\n'
    )
