"""Packets of any framing, in Matroska's; parameter sets from wherever they come."""

from dataclasses import replace

import pytest

from streamproc.kvs.coded import CodedPacket, Conformer
from streamproc.mkv import nal
from tests.decode.clips import Clip, film, in_annex_b, parameter_sets

CODECS = {"libx264": "h264", "libx265": "hevc"}
encoders = pytest.mark.parametrize("encoder", list(CODECS))


def conformed(conformer: Conformer, clip: Clip) -> list[CodedPacket]:
    packets = (conformer.packet(p.payload, p.pts_ms / 1000, 0.04, p.keyframe) for p in clip.packets)
    return [packet for packet in packets if packet is not None]


@encoders
def test_lengths_stay_as_they_are(encoder: str) -> None:
    clip = film(encoder)
    conformer = Conformer(CODECS[encoder], clip.track.codec_private, 160, 120)
    assert [packet.payload for packet in conformed(conformer, clip)] == [
        packet.payload for packet in clip.packets
    ]


@encoders
def test_parameter_sets_come_in_band(encoder: str) -> None:
    clip = in_annex_b(film(encoder), in_band=True)
    packets = conformed(Conformer(CODECS[encoder], b"", 0, 0), clip)
    assert len(packets) == len(clip.packets)
    assert len({packet.track for packet in packets}) == 1
    track = packets[0].track
    assert (track.width, track.height) == (160, 120)
    assert set(parameter_sets(track)) >= {
        unit for unit in parameter_sets(film(encoder).track) if len(unit) < 200
    }
    assert all(nal.is_length_prefixed(packet.payload, 4) for packet in packets)


@encoders
def test_parameter_sets_come_in_the_session_description(encoder: str) -> None:
    clip = in_annex_b(film(encoder))
    conformer = Conformer(CODECS[encoder], clip.track.codec_private, 0, 0)
    packets = conformed(conformer, clip)
    assert len(packets) == len(clip.packets)
    assert packets[0].track.width == 160


@encoders
def test_nothing_can_be_decoded_without_them(encoder: str) -> None:
    clip = in_annex_b(film(encoder))
    assert conformed(Conformer(CODECS[encoder], b"", 0, 0), clip) == []


def test_packets_before_a_keyframe_are_skipped() -> None:
    clip = in_annex_b(film(), in_band=True)
    late = replace(clip, packets=clip.packets[3:])
    packets = conformed(Conformer("h264", b"", 0, 0), late)
    assert packets[0].keyframe
    assert len(packets) == len(clip.packets) - 10


@encoders
def test_another_size_is_another_track(encoder: str) -> None:
    small = in_annex_b(film(encoder), in_band=True)
    large = in_annex_b(film(encoder, size=(320, 240)), in_band=True)
    conformer = Conformer(CODECS[encoder], b"", 0, 0)
    packets = conformed(conformer, small) + conformed(conformer, large)
    widths = [packet.track.width for packet in packets]
    assert widths == [160] * len(small.packets) + [320] * len(large.packets)
    assert packets[len(small.packets)].keyframe
