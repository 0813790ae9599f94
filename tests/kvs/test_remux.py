"""What put-media sends, read again as a consumer reads it."""

import asyncio
import io
import wave
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamproc.clock import FakeClock
from streamproc.decode.decoder import Picture, VideoDecoder
from streamproc.errors import MediaError, UnsupportedCodec
from streamproc.kvs.acks import Ack
from streamproc.kvs.recording import Folder, Recording
from streamproc.kvs.remux import Broadcast, Chunk, remux
from streamproc.mkv import nal
from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.writer import MkvWriter
from streamproc.model.media import FragmentEnded, FragmentStarted, MediaEvent, Packet
from tests.decode.clips import Clip, Shown, checksum, film, parameter_sets

START_S = 1_700_000_000.0


def recording(folder: Path, clip: Clip, name: str = "film.mkv") -> Recording:
    path = folder / name
    path.write_bytes(clip.file)
    return Recording(path)


def read(source: Recording) -> list[MediaEvent]:
    return parse(remux(source, START_S))


def parse(chunks: Iterable[Chunk]) -> list[MediaEvent]:
    parser = FragmentParser()
    events: list[MediaEvent] = []
    track = None
    for chunk in chunks:
        if track is None:
            track = chunk.track
            events += parser.feed(MkvWriter().header([track]))
        assert chunk.track == track
        events += parser.feed(chunk.data)
    return events + parser.close()


def shown(events: Iterable[MediaEvent]) -> tuple[Shown, ...]:
    decoder = VideoDecoder()
    pictures = [picture for event in events for picture in decoder.feed(event)]
    return checksums([*pictures, *decoder.flush()])


def checksums(pictures: Iterable[Picture]) -> tuple[Shown, ...]:
    return tuple(
        (round((picture.timestamp - START_S) * 1000), checksum(picture.image()))
        for picture in pictures
    )


def from_zero(clip: Clip) -> tuple[Shown, ...]:
    """Some containers begin above 0; what is sent never does."""
    return tuple((at_ms - clip.shown[0][0], sum_) for at_ms, sum_ in clip.shown)


def started(events: Iterable[MediaEvent]) -> list[FragmentStarted]:
    return [event for event in events if isinstance(event, FragmentStarted)]


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(
    ("encoder", "container"),
    [
        ("libx264", "mp4"),
        ("libx264", "matroska"),
        ("libx264", "mpegts"),
        ("libx264", "flv"),
        ("libx265", "mp4"),
        ("libx265", "matroska"),
        ("libx265", "mpegts"),
    ],
)
def test_every_frame_arrives_as_it_was(
    tmp_path: Path, encoder: str, container: str, b_frames: int
) -> None:
    clip = film(encoder, container=container, b_frames=b_frames, frames=100)
    source = recording(tmp_path, clip)
    events = read(source)
    assert shown(events) == from_zero(clip)
    assert source.damage == ""
    assert source.duration_s == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_a_transport_stream_leaves_as_matroska_wants_it(tmp_path: Path, encoder: str) -> None:
    events = read(recording(tmp_path, film(encoder, container="mpegts")))
    [track] = started(events)[0].fragment.tracks
    assert not nal.is_annex_b(track.codec_private)
    assert (track.width, track.height) == (160, 120)
    assert all(nal.is_length_prefixed(e.payload, 4) for e in events if isinstance(e, Packet))


def test_a_title_in_any_encoding_does_no_harm(tmp_path: Path) -> None:
    clip = film()
    assert b"Lavf" in clip.file
    latin = replace(clip, file=clip.file.replace(b"Lavf", "Böse".encode("latin-1")))
    assert shown(read(recording(tmp_path, latin))) == clip.shown


def test_a_bare_elementary_stream_is_timed_by_its_frame_rate(tmp_path: Path) -> None:
    clip = film(frames=50)
    body = b"".join(
        nal.with_start_codes(nal.units_by_length(packet.payload, 4)) for packet in clip.packets
    )
    path = tmp_path / "film.h264"
    path.write_bytes(nal.with_start_codes(parameter_sets(clip.track)) + body)
    assert shown(read(Recording(path))) == clip.shown


def test_fragments_open_on_keyframes_a_second_or_more_apart(tmp_path: Path) -> None:
    clip = film(frames=200, keyframe_every=10, b_frames=2)  # a keyframe every 0.4 s
    events = read(recording(tmp_path, clip))
    timecodes = [event.fragment.timecode_ns / 1e9 - START_S for event in started(events)]
    assert timecodes == pytest.approx([0, 1.2, 2.4, 3.6, 4.8, 6.0, 7.2])
    for event, following in pairwise(events):
        if isinstance(event, FragmentStarted):
            assert isinstance(following, Packet)
            assert following.keyframe


def test_a_long_way_between_keyframes_is_cut_without_losing_a_frame(tmp_path: Path) -> None:
    clip = film(frames=400, keyframe_every=390, b_frames=2)  # keyframes at 0 and 15.6 s
    events = read(recording(tmp_path, clip))
    timecodes = [event.fragment.timecode_ns for event in started(events)]
    lengths = [(b - a) / 1e9 for a, b in pairwise(timecodes)]
    assert max(lengths) < 11
    assert shown(events) == clip.shown


def test_a_loop_goes_on_without_a_seam(tmp_path: Path) -> None:
    clip = film(b_frames=2)  # 1.6 s
    source = recording(tmp_path, clip)
    chunks = islice(remux(source, START_S, loop=True), 120)
    expected = [(at + 1600 * turn, sum_) for turn in range(3) for at, sum_ in clip.shown]
    assert shown(parse(chunks)) == tuple(expected)


def test_a_packet_is_due_once_its_pictures_could_have_been_seen(tmp_path: Path) -> None:
    chunks = list(remux(recording(tmp_path, film(b_frames=2)), START_S))
    assert [chunk.due_s for chunk in chunks] == sorted(chunk.due_s for chunk in chunks)
    assert [round(chunk.due_s, 2) for chunk in chunks[:5]] == [0, 0.12, 0.12, 0.12, 0.24]
    assert chunks[-1].due_s == pytest.approx(39 / 25)


async def test_real_time_is_kept(tmp_path: Path) -> None:
    clock = FakeClock()
    sent: list[float] = []
    told: list[float] = []
    broadcast = Broadcast(recording(tmp_path, film()), clock, progress=told.append)

    async def send() -> None:
        async for _ in broadcast.session():
            sent.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        await clock.advance(1.0)
        assert len(sent) == 26  # 0 to 1 s at 25 a second
        await clock.advance(10)
    assert broadcast.is_over
    assert sent == pytest.approx([number / 25 for number in range(40)])
    assert told == sent


class Idle(FakeClock):
    async def sleep(self, seconds: float) -> None:
        assert seconds == 0
        await asyncio.sleep(0)


async def test_fast_waits_for_nothing_but_lets_others_run(tmp_path: Path) -> None:
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    broadcast = Broadcast(recording(tmp_path, film()), Idle(), fast=True)
    assert len([data async for data in broadcast.session()]) == 40
    task.cancel()
    assert others >= 40


async def test_a_long_broadcast_takes_several_sessions(tmp_path: Path) -> None:
    clip = film(frames=200, keyframe_every=10, b_frames=2)
    source = recording(tmp_path, clip)
    broadcast = Broadcast(source, Idle(START_S), fast=True, session_s_max=3)
    decoder = VideoDecoder()
    pictures: list[Picture] = []
    sessions = 0
    while not broadcast.is_over:
        sessions += 1
        parser = FragmentParser()  # each session is a document of its own
        async for data in broadcast.session():
            for event in parser.feed(data):
                pictures += decoder.feed(event)
        for event in parser.close():
            assert isinstance(event, FragmentEnded)
    pictures += decoder.flush()
    assert sessions == 3
    assert checksums(pictures) == clip.shown


async def test_what_a_broken_session_held_is_sent_again(tmp_path: Path) -> None:
    clip = film(frames=200, keyframe_every=10)
    source = recording(tmp_path, clip)
    broadcast = Broadcast(source, Idle(START_S), fast=True)
    body = broadcast.session()
    first = FragmentParser()
    for _ in range(100):  # fragments of 1.2 s: 30 packets
        first.feed(await anext(body))
    await body.aclose()  # type: ignore[attr-defined]
    broadcast.on_ack(Ack("BUFFERING", timecode=round(START_S * 1000) + 2400))
    broadcast.on_ack(Ack("PERSISTED", timecode=round(START_S * 1000) + 1200))
    broadcast.rewind()
    assert not broadcast.is_over
    again = FragmentParser()
    events = [event async for data in broadcast.session() for event in again.feed(data)]
    assert started(events)[0].fragment.timecode_ns / 1e9 == START_S + 2.4
    assert payloads([*events, *again.close()]) == [p.payload for p in clip.packets[60:]]
    assert broadcast.is_over


async def test_what_is_never_confirmed_is_not_kept_without_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.kvs.remux.UNCONFIRMED_BYTES_MAX", 2000)
    broadcast = Broadcast(recording(tmp_path, film(frames=200)), Idle(START_S), fast=True)
    sent = [data async for data in broadcast.session()]
    assert sum(map(len, sent)) > 4000
    broadcast.rewind()
    again = [data async for data in broadcast.session()]
    assert 0 < sum(map(len, again)) < 2600


class TestAFolder:
    def test_plays_its_videos_in_order_of_name(self, tmp_path: Path) -> None:
        short, long = film(frames=20), film(frames=40, b_frames=2)
        recording(tmp_path, long, "b.mkv")
        recording(tmp_path, short, "a.mkv")
        (tmp_path / "notes.txt").write_text("no video")
        (tmp_path / "c.mp4").write_bytes(b"no video either")
        folder = Folder(tmp_path)
        assert folder.duration_s == pytest.approx(60 / 25, abs=0.1)
        assert [note.split(" ")[0] for note in folder.left_out] == ["c.mp4"]
        chunks = list(remux(folder, START_S))
        assert len(chunks) == 60
        assert len({chunk.track for chunk in chunks}) == 2  # B-frames need other parameter sets
        documents = [[c for c in chunks if c.track == t.track] for t in (chunks[0], chunks[-1])]
        assert [len(document) for document in documents] == [20, 40]
        second = parse(documents[1])
        assert started(second)[0].fragment.timecode_ns / 1e9 == START_S + 0.8
        assert [sum_ for _, sum_ in shown(second)] == [sum_ for _, sum_ in long.shown]

    async def test_of_other_sizes_takes_a_session_each(self, tmp_path: Path) -> None:
        for number, size in enumerate([(160, 120), (320, 240), (160, 120)]):
            recording(tmp_path, film(frames=20, size=size), f"{number}.mkv")
        broadcast = Broadcast(Folder(tmp_path), Idle(START_S), fast=True)
        widths = []
        while not broadcast.is_over:
            parser = FragmentParser()
            events = [event async for data in broadcast.session() for event in parser.feed(data)]
            widths.append(started(events)[0].fragment.tracks[0].width)
        assert widths == [160, 320, 160]

    def test_without_a_video_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match=r"has no video that can be sent$"):
            Folder(tmp_path)
        (tmp_path / "old.mkv").write_bytes(film_in("mpeg4").file)
        with pytest.raises(MediaError, match=r"can be sent: old\.mkv .*--transcode makes H"):
            Folder(tmp_path)


class TestTranscoding:
    def test_makes_h264_of_another_codec(self, tmp_path: Path) -> None:
        path = tmp_path / "old.mkv"
        path.write_bytes(film_in("mpeg4", frames=30).file)
        source = Recording(path, transcode=True)
        assert source.transcoding == "mpeg4"
        events = read(source)
        [track] = started(events)[0].fragment.tracks
        assert track.codec_id == "V_MPEG4/ISO/AVC"
        assert [at_ms for at_ms, _ in shown(events)] == [40 * n for n in range(30)]

    def test_leaves_h264_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "film.mkv"
        path.write_bytes(film().file)
        source = Recording(path, transcode=True)
        assert source.transcoding == ""
        assert shown(read(source)) == film().shown

    async def test_is_done_on_a_thread_and_loses_nothing_when_a_session_breaks(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "old.mkv"
        path.write_bytes(film_in("mpeg4", frames=30).file)
        broadcast = Broadcast(Recording(path, transcode=True), Idle(START_S), fast=True)
        body = broadcast.session()
        await anext(body)
        task = asyncio.ensure_future(anext(body))
        await asyncio.sleep(0)
        task.cancel()  # while the thread is at the next picture
        await asyncio.wait((task,))
        broadcast.rewind()
        parser = FragmentParser()
        events = [event async for data in broadcast.session() for event in parser.feed(data)]
        assert len(payloads(events)) == 30


class TestAFileThatWillNotDo:
    def test_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match=r"absent\.mp4 does not exist$"):
            Recording(tmp_path / "absent.mp4")

    def test_is_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="is not a file"):
            Recording(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"these are no pictures" * 100])
    def test_is_no_video(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "notes.mp4"
        path.write_bytes(content)
        with pytest.raises(MediaError, match=r"notes\.mp4 (is not a video file|has no video)"):
            Recording(path)

    def test_is_in_another_codec(self, tmp_path: Path) -> None:
        words = r"film\.mkv is mpeg4 video, .* --transcode makes H\.264 of it on the way"
        with pytest.raises(UnsupportedCodec, match=words):
            recording(tmp_path, film_in("mpeg4"))

    def test_has_sound_only(self, tmp_path: Path) -> None:
        path = tmp_path / "sound.wav"
        path.write_bytes(_wav())
        with pytest.raises(MediaError, match=r"sound\.wav has no video track, only audio$"):
            Recording(path)

    def test_is_cut_in_its_first_half(self, tmp_path: Path) -> None:
        clip = film(frames=100)
        path = tmp_path / "cut.mkv"
        path.write_bytes(clip.file[: len(clip.file) // 2])
        source = Recording(path)
        pictures = shown(read(source))
        assert len(pictures) > 30
        assert pictures[:-1] == clip.shown[: len(pictures) - 1]
        assert "cut.mkv ends after" in source.damage
        assert source.damage.endswith("but says it has 4.0 s")


def film_in(encoder: str, frames: int = 1) -> Clip:
    """take_apart() knows the two codecs that we read; another one is only written."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream(encoder, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((120, 160, 3), np.uint8), format="bgr24")
        for number in range(frames):
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return Clip(film().track, (), (), buffer.getvalue())


def _wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    return buffer.getvalue()


def test_sound_is_left_out_and_said_so(testdata: Path) -> None:
    path = testdata / "videos" / "facenet_pytorch_video.mp4"
    source = Recording(path)
    assert source.left_out == ("aac audio",)
    events = read(source)
    assert len([event for event in events if isinstance(event, Packet)]) == 105
    assert len(started(events)[0].fragment.tracks) == 1


@pytest.mark.parametrize(
    "name", ["output_get_media.mkv", "output-get-media-non-increasing-timecode.mkv"]
)
def test_a_real_recording_arrives_packet_for_packet(testdata: Path, name: str) -> None:
    path = testdata / "kvs" / name
    source = Recording(path)
    parser = FragmentParser()
    original = [*parser.feed(path.read_bytes()), *parser.close()]
    sent = read(source)
    assert payloads(sent) == payloads(original)
    assert len(started(sent)) == len(started(original))
    assert source.damage == ""


def payloads(events: Iterable[MediaEvent]) -> list[bytes]:
    return [event.payload for event in events if isinstance(event, Packet)]
