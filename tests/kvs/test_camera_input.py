"""Real cameras on real sockets, as far as one machine has them."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import trustme

from streamproc.decode.decoder import VideoDecoder
from streamproc.errors import ConfigError
from streamproc.kvs import camera_input
from streamproc.kvs.camera_failures import CameraRefused, CameraUnreachable
from streamproc.kvs.camera_input import Input, open_input
from streamproc.kvs.coded import CodedPacket
from streamproc.mkv import nal
from streamproc.model.media import Fragment, FragmentStarted, Packet
from tests.decode.clips import film
from tests.kvs.test_remux import film_in
from tests.peers.http_video import HttpVideo, http_video
from tests.peers.rtsp_server import RtspServer, skip_without_rtsp_server

PASSWORD = "s3cr3t-Pass"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "visit.mp4"
    path.write_bytes(film(container="mp4", b_frames=2, frames=100).file)
    return path


@pytest.fixture(scope="module")
def camera(clip: Path) -> Iterator[RtspServer]:
    skip_without_rtsp_server()
    with RtspServer(clip, user="viewer", password=PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def web(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpVideo]:
    with http_video(tmp_path_factory.mktemp("hls"), clip.read_bytes()) as server:
        yield server


def sliced(encoder: str) -> bytes:
    """Thirty pictures of four slices each."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream(encoder, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        parameters = "slices=4:keyint=10:min-keyint=10:bframes=0:scenecut=0:log-level=none"
        name = "x264-params" if encoder == "libx264" else "x265-params"
        stream.options = {name: parameters, "preset": "ultrafast"}
        for number in range(30):
            image = np.full((240, 320, 3), number * 5, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def pictures(packets: list[CodedPacket]) -> int:
    """How many of them a consumer can decode."""
    decoder = VideoDecoder()
    begin_s = min(packet.pts_s for packet in packets)
    fragment = Fragment("1", 0.0, 0.0, 0, (packets[0].track,))
    events = [FragmentStarted(fragment)]
    shown = [picture for event in events for picture in decoder.feed(event)]
    for packet in packets:
        assert nal.is_length_prefixed(packet.payload, 4)
        offset_ns = round((packet.pts_s - begin_s) * 1e9)
        shown += decoder.feed(Packet(1, offset_ns, packet.keyframe, packet.payload))
    return len([*shown, *decoder.flush()])


def some(source: Input, count: int = 30) -> list[CodedPacket]:
    return list(islice(source.packets(), count))


def refusal(open_: Callable[[], object]) -> str:
    with pytest.raises(CameraRefused) as caught:
        open_()
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def unreachable(open_: Callable[[], object]) -> str:
    with pytest.raises(CameraUnreachable) as caught:
        open_()
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


class TestRtsp:
    def test_packets_come_as_the_camera_sends_them(self, camera: RtspServer) -> None:
        with open_input(camera.url) as source:
            packets = some(source)
            assert (source.facts.codec, source.facts.fps) == ("h264", 25)
            assert (source.facts.width, source.facts.height) == (160, 120)
            assert not source.facts.transcoding
        assert packets[0].keyframe
        assert pictures(packets) == 30
        # The first keyframe has no time in RTSP; it is still the first to be shown.
        times = sorted(packet.pts_s for packet in packets)
        assert times[0] == packets[0].pts_s
        steps = [round(after - before, 3) for before, after in pairwise(times[:-3])]
        assert set(steps) == {0.04}

    @pytest.mark.parametrize("encoder", ["libx264", "libx265"])
    def test_a_keyframe_in_slices_is_one_picture(self, tmp_path: Path, encoder: str) -> None:
        """GStreamer repeats parameter sets before each slice, and FFmpeg cuts it there."""
        skip_without_rtsp_server()
        path = tmp_path / "slices.mp4"
        path.write_bytes(sliced(encoder))
        with RtspServer(path) as server, open_input(server.url) as source:
            packets = some(source, 30)
        times = [packet.pts_s for packet in packets]
        assert len(set(times)) == 30
        assert sum(packet.keyframe for packet in packets) == 3
        assert pictures(packets) == 30

    def test_h265_over_udp(self, tmp_path: Path) -> None:
        skip_without_rtsp_server()
        path = tmp_path / "hevc.mp4"
        path.write_bytes(film("libx265", container="mp4", frames=50).file)
        with (
            RtspServer(path, transport="udp") as server,
            open_input(server.url, transport="udp") as source,
        ):
            assert source.facts.codec == "hevc"
            assert pictures(some(source, 20)) == 20

    def test_mjpeg_is_transcoded_unasked(self, clip: Path) -> None:
        skip_without_rtsp_server()
        with (
            RtspServer(clip, codec="mjpeg") as server,
            open_input(server.url) as source,
        ):
            assert (source.facts.codec, source.facts.transcoding) == ("mjpeg", True)
            packets = some(source, 60)
        assert pictures(packets) == 60
        keyframes = [packet.pts_s for packet in packets if packet.keyframe]
        assert all(0.9 <= after - before <= 1.5 for before, after in pairwise(keyframes))

    def test_a_wrong_password_is_told_without_it(self, camera: RtspServer) -> None:
        url = camera.url.replace(PASSWORD, PASSWORD + "x")
        words = refusal(lambda: open_input(url))
        assert words == (
            f"rtsp://viewer:***@127.0.0.1:{camera.port}/cam refuses the login (401); "
            "check user name and password"
        )

    def test_no_password_is_told_how_to_write_one(self, camera: RtspServer) -> None:
        words = refusal(lambda: open_input(f"rtsp://127.0.0.1:{camera.port}/cam"))
        assert "wants a login (401)" in words
        assert f"rtsp://user:password@127.0.0.1:{camera.port}/cam" in words

    def test_a_wrong_path(self, camera: RtspServer) -> None:
        words = refusal(lambda: open_input(camera.url.replace("/cam", "/none")))
        assert "nothing at this path (404)" in words

    def test_a_camera_that_loses_power_ends(self, clip: Path) -> None:
        skip_without_rtsp_server()
        with RtspServer(clip) as server, open_input(server.url) as source:
            packets = source.packets()
            next(packets)
            server.kill()
            assert len(list(packets)) < 1000
            assert "nothing answers at 127.0.0.1:" in unreachable(lambda: open_input(server.url))

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (None, "sends nothing for 0.5 s"),
            (b"", "breaks off, or does not speak RTSP"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "breaks off, or does not speak RTSP"),
        ],
    )
    def test_a_camera_that_hangs_may_come_back(self, answer: bytes | None, words: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=_plain, args=[server, answer], daemon=True).start()
            url = f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam"
            assert words in unreachable(lambda: open_input(url, timeout_s=0.5))

    def test_a_certificate_that_nobody_vouches_for(self, clip: Path, tmp_path: Path) -> None:
        skip_without_rtsp_server()
        pem = tmp_path / "camera.pem"
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
        with RtspServer(clip, certificate=pem) as server:
            words = refusal(lambda: open_input(server.url))
            assert "certificate that cannot be trusted" in words
            assert "turn the verification off" in words
            with open_input(server.url, verify_tls=False) as source:
                assert pictures(some(source, 10)) == 10


class TestHttp:
    def test_mjpeg(self, web: HttpVideo) -> None:
        with open_input(web.at("/mjpeg")) as source:
            assert (source.facts.codec, source.facts.transcoding) == ("mjpeg", True)
            packets = some(source, 10)
        assert pictures(packets) == 10
        # FFmpeg makes times up for it; arrival is what counts.
        assert all(after.pts_s > before.pts_s for before, after in pairwise(packets))

    def test_a_transport_stream(self, web: HttpVideo) -> None:
        with open_input(web.at("/live.ts")) as source:
            assert source.facts.codec == "h264"
            assert pictures(some(source)) == 30

    def test_hls(self, web: HttpVideo) -> None:
        with open_input(web.at("/hls/live.m3u8")) as source:
            assert pictures(some(source)) == 30

    def test_a_silent_camera_is_given_up(self, web: HttpVideo) -> None:
        words = unreachable(lambda: open_input(web.at("/silent"), timeout_s=0.5))
        assert words == f"{web.url}/silent sends nothing for 0.5 s"

    def test_a_camera_that_hangs_is_given_up(self, web: HttpVideo) -> None:
        with open_input(web.at("/live.ts"), timeout_s=1.0) as source:
            packets = source.packets()
            next(packets)
            web.paused.set()
            try:
                words = unreachable(lambda: list(packets))
            finally:
                web.paused.clear()
        assert words == f"{web.url}/live.ts sends nothing for 1 s"

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("/none", "nothing at this path (404)"),
            ("/secret", "wants a login (401)"),
            ("/page", "nothing that is video"),
            ("/still.jpg", "single picture"),
        ],
    )
    def test_what_is_no_video(self, web: HttpVideo, path: str, words: str) -> None:
        assert words in refusal(lambda: open_input(web.at(path)))

    @pytest.mark.parametrize("path", ["/breaking", "/swelling"])
    def test_a_camera_without_one_picture_is_given_up(
        self, web: HttpVideo, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        monkeypatch.setattr(camera_input, "KEYFRAME_TIMEOUT_S", 0.5)
        with open_input(web.at(path)) as source:
            words = unreachable(lambda: list(source.packets()))
        assert "sent no mjpeg picture that can be decoded" in words

    def test_a_camera_without_one_picture_can_be_left(self, web: HttpVideo) -> None:
        ended = threading.Event()
        with open_input(web.at("/breaking")) as source:

            def read() -> None:
                for _ in source.packets():
                    pass
                ended.set()

            threading.Thread(target=read, daemon=True).start()
            assert not ended.wait(0.5)
            source.stop()
            assert ended.wait(60)

    def test_pictures_that_are_too_large_are_never_decoded(self, web: HttpVideo) -> None:
        words = refusal(lambda: open_input(web.at("/huge")))
        assert "pictures of 8192x4608 are too large to be transcoded" in words

    def test_a_password_is_not_told(self, web: HttpVideo) -> None:
        words = refusal(lambda: open_input(web.at("/secret", f"viewer:{PASSWORD}")))
        assert "refuses the login (401)" in words

    def test_a_playlist_does_not_lead_to_files_of_this_machine(
        self, web: HttpVideo, tmp_path: Path
    ) -> None:
        private = tmp_path / "private.ts"
        private.write_bytes(web.transport_stream)
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://{private}\n"
        web.files["/evil.m3u8"] = f"{playlist}#EXT-X-ENDLIST\n".encode()
        with pytest.raises((CameraRefused, CameraUnreachable)):
            open_input(web.at("/evil.m3u8"))


class TestWhatWillNotDo:
    def test_a_host_that_nobody_knows(self) -> None:
        words = unreachable(lambda: open_input(f"rtsp://me:{PASSWORD}@camera.invalid/cam"))
        assert words == (
            "the host camera.invalid is not known; check the name in "
            "rtsp://me:***@camera.invalid/cam"
        )

    def test_a_camera_that_is_off(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        words = unreachable(lambda: open_input(f"http://127.0.0.1:{port}/"))
        assert words == (
            f"nothing answers at 127.0.0.1:{port}: is the camera on, and the port right?"
        )

    def test_a_camera_without_tls(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
            threading.Thread(target=_plain, args=[server, answer], daemon=True).start()
            port = server.getsockname()[1]
            words = refusal(lambda: open_input(f"https://127.0.0.1:{port}/"))
        assert "does not speak TLS" in words

    def test_a_codec_that_nobody_reads_is_refused_with_the_way_out(self, tmp_path: Path) -> None:
        path = tmp_path / "old.mkv"
        path.write_bytes(film_in("mpeg4").file)
        words = refusal(lambda: open_input(str(path)))
        assert "sends mpeg4 video" in words
        assert "--transcode" in words
        with open_input(str(path), transcode=True) as source:
            assert source.facts.transcoding
            assert pictures(some(source)) == 1

    def test_a_url_that_is_none(self) -> None:
        with pytest.raises(ConfigError, match="ftp:// is not read"):
            open_input("ftp://host/x")

    def test_a_folder_is_no_camera(self, tmp_path: Path) -> None:
        assert "is a folder" in refusal(lambda: open_input(str(tmp_path)))


def _plain(server: socket.socket, answer: bytes | None) -> None:
    """None for no answer at all."""
    silent = []
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        if answer is None:
            silent.append(connection)
            continue
        with connection:
            connection.recv(1000)
            connection.sendall(answer)


def test_a_real_recording_over_rtsp(testdata: Path) -> None:
    skip_without_rtsp_server()
    with (
        RtspServer(testdata / "kvs" / "vogels_480.mkv") as server,
        open_input(server.url) as source,
    ):
        assert pictures(some(source, 40)) == 40


def test_a_file_plays_as_a_camera(clip: Path) -> None:
    with open_input(str(clip)) as source:
        assert pictures(some(source, 10)) == 10
