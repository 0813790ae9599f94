"""An HTTP camera: MJPEG, a transport stream that never ends, HLS, and what goes wrong with them."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np

_BOUNDARY = "picture"
_FPS = 25


class HttpVideo:
    """What is served. paused holds every endless answer back, as a camera that hangs does."""

    def __init__(self, folder: Path, clip: bytes) -> None:
        self.paused = threading.Event()
        self.over = threading.Event()
        self.requests: list[str] = []
        self.transport_stream = _remuxed(clip, "mpegts")
        self.files = {"/clip.mp4": clip, "/still.jpg": _jpeg(0), "/page": b"<html>hello</html>"}
        _write_hls(clip, folder)
        self.files |= {f"/hls/{file.name}": file.read_bytes() for file in folder.iterdir()}
        self.url = ""

    def at(self, path: str, login: str = "") -> str:
        return self.url.replace("://", f"://{login}@" if login else "://") + path

    def wait(self) -> None:
        """One picture's time, or as long as it is paused."""
        time.sleep(1 / _FPS)
        while self.paused.is_set() and not self.over.is_set():
            time.sleep(0.02)


@contextmanager
def http_video(folder: Path, clip: bytes) -> Iterator[HttpVideo]:
    """clip is an MP4 file of H.264. Paths: /mjpeg, /breaking (MJPEG of which after three pictures
    none can be decoded), /huge (MJPEG of 8192x4608), /swelling (the same after three), /live.ts,
    /hls/live.m3u8, /clip.mp4, /still.jpg, /page, /silent (never answers), /secret (wants a
    login)."""
    video = HttpVideo(folder, clip)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            video.requests.append(path)
            with suppress(OSError):  # the client has left
                self._answer(path)

        def _answer(self, path: str) -> None:
            if path in _CAMERAS:
                self._head(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                number = 0
                while not video.over.is_set():
                    jpeg = _CAMERAS[path](number)
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                    head += f"Content-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    number += 1
                    video.wait()
            elif path == "/live.ts":
                self._head("video/mp2t")
                step = 188 * 7
                while not video.over.is_set():
                    for at in range(0, len(video.transport_stream), step):
                        self.wfile.write(video.transport_stream[at : at + step])
                        video.wait()
            elif path == "/silent":
                video.over.wait(60)
            elif path == "/secret":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
            elif path in video.files:
                self._head("application/octet-stream", len(video.files[path]))
                self.wfile.write(video.files[path])
            else:
                self.send_error(404)

        def _head(self, kind: str, length: int | None = None) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    video.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield video
    finally:
        video.over.set()
        server.shutdown()
        thread.join(30)
        server.server_close()


def _jpeg(number: int) -> bytes:
    image = np.full((120, 160, 3), (40, 80, 20), np.uint8)
    left = number * 4 % 140
    image[:, left : left + 20] = (200, 180, 240)
    return cv2.imencode(".jpg", image)[1].tobytes()


def _breaking(number: int) -> bytes:
    whole = _jpeg(number)
    return whole if number < 3 else whole[:2] + b"\xff\xfe\x00\x10" + bytes(300)


@cache
def _huge(_number: int) -> bytes:
    return cv2.imencode(".jpg", np.zeros((4608, 8192, 3), np.uint8))[1].tobytes()


def _swelling(number: int) -> bytes:
    return _jpeg(number) if number < 3 else _huge(number)


_CAMERAS: dict[str, Callable[[int], bytes]] = {
    "/mjpeg": _jpeg,
    "/breaking": _breaking,
    "/huge": _huge,
    "/swelling": _swelling,
}


def _remuxed(clip: bytes, container: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(io.BytesIO(clip), "r") as source, av.open(buffer, "w", format=container) as output:
        _copy(source, output)
    return buffer.getvalue()


def _write_hls(clip: bytes, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    options = {"hls_time": "1", "hls_list_size": "0", "hls_playlist_type": "vod"}
    with (
        av.open(io.BytesIO(clip), "r") as source,
        av.open(str(folder / "live.m3u8"), "w", format="hls", options=options) as output,
    ):
        _copy(source, output)


def _copy(source: av.container.InputContainer, output: av.container.OutputContainer) -> None:
    stream = source.streams.video[0]
    copy = output.add_stream_from_template(stream)
    for packet in source.demux(stream):
        if packet.size:
            packet.duration = packet.duration or int(Fraction(1, _FPS) / (stream.time_base or 1))
            packet.stream = copy
            output.mux(packet)
