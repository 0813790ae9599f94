"""A real RTSP server: GStreamer's, playing a clip in a loop as a camera does.

It runs in a process of Debian's Python, so that it can be killed as a camera loses its power.
"""

import select
import shutil
import struct
import subprocess
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import pytest
from av.bitstream import BitStreamFilterContext

_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("gst_rtsp.py")
_START_TIMEOUT_S = 60
_IMPORTS = "import gi; gi.require_version('GstRtspServer', '1.0'); " + (
    "from gi.repository import GstRtspServer"
)
_LAUNCH = {  # caps of what is pushed, and what makes RTP of it
    "h264": (
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "h264parse ! rtph264pay name=pay0 config-interval=-1",
    ),
    "hevc": (
        "video/x-h265,stream-format=byte-stream,alignment=au",
        "h265parse ! rtph265pay name=pay0 config-interval=-1",
    ),
    "mjpeg": ("image/jpeg,framerate=25/1", "jpegparse ! rtpjpegpay name=pay0"),
}


@cache
def _missing() -> str:
    if not Path(_PYTHON).exists():
        return f"no {_PYTHON}"
    tried = subprocess.run([_PYTHON, "-c", _IMPORTS], capture_output=True, text=True, check=False)
    if tried.returncode:
        return "no GStreamer RTSP server: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0"
    for element in ("h264parse", "rtph264pay"):
        inspect = shutil.which("gst-inspect-1.0")
        if inspect and subprocess.run([inspect, element], capture_output=True).returncode:
            return f"GStreamer lacks {element}: apt-get install gstreamer1.0-plugins-{{good,bad}}"
    return ""


def skip_without_rtsp_server() -> None:
    """Skip the test, with the reason, where the server cannot run."""
    if reason := _missing():
        pytest.skip(reason)


class RtspServer:
    """One camera at rtsp://127.0.0.1:PORT/cam. A context manager that starts and kills it.

    clip is any video file; with codec mjpeg its pictures are coded anew. The port is the same
    after restart(). certificate is a PEM file with key and certificate: then it is rtsps://.
    """

    def __init__(
        self,
        clip: Path,
        *,
        port: int = 0,
        path: str = "/cam",
        user: str = "",
        password: str = "",
        codec: Literal["", "mjpeg"] = "",
        transport: Literal["tcp", "udp"] = "tcp",
        certificate: Path | None = None,
    ) -> None:
        self.port = port
        self.path = path
        self.user = user
        self.password = password
        self._transport = transport
        self._certificate = certificate
        self._folder = tempfile.TemporaryDirectory()
        self._packets = Path(self._folder.name) / "packets"
        self._codec = _write_packets(clip, self._packets, codec)
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """With user and password, if it wants them."""
        scheme = "rtsps" if self._certificate else "rtsp"
        login = f"{self.user}:{self.password}@" if self.user else ""
        return f"{scheme}://{login}127.0.0.1:{self.port}{self.path}"

    def start(self) -> Self:
        caps, pay = _LAUNCH[self._codec]
        certificate = [str(self._certificate)] if self._certificate else []
        process = self._process = subprocess.Popen(
            [_PYTHON, str(_SCRIPT), str(self._packets), caps, pay, str(self.port), self.path,
             self.user, self.password, self._transport, *certificate],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], _START_TIMEOUT_S)[0], "no RTSP server"
        word, _, port = process.stdout.readline().partition(" ")
        assert word == "ready", "the RTSP server ended"
        self.port = int(port)
        return self

    def kill(self) -> None:
        """As if its plug were pulled."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def restart(self) -> Self:
        self.kill()
        return self.start()

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def _write_packets(clip: Path, path: Path, codec: str) -> str:
    """The clip's packets behind start codes, each after its time; returns FFmpeg's codec name."""
    name, packets, end_s = _jpegs(clip) if codec == "mjpeg" else _coded(clip)
    begin_s = min(pts_s for pts_s, _ in packets)
    with path.open("wb") as file:
        for pts_s, payload in [*packets, (end_s, b"")]:
            file.write(struct.pack(">qI", round((pts_s - begin_s) * 10**9), len(payload)) + payload)
    return name


def _coded(clip: Path) -> tuple[str, list[tuple[Fraction, bytes]], Fraction]:
    with av.open(clip) as container:
        stream = container.streams.video[0]
        name = stream.codec_context.name
        annex_b = BitStreamFilterContext(f"{name}_mp4toannexb", stream)
        base = stream.time_base or Fraction(1)
        packets: list[tuple[Fraction, bytes]] = []
        end_s = Fraction(0)
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                end_s = max(end_s, (packet.pts + (packet.duration or 0)) * base)
                packets += [((out.pts or 0) * base, bytes(out)) for out in annex_b.filter(packet)]
    if end_s <= max(pts_s for pts_s, _ in packets):  # the file tells no durations
        end_s = max(pts_s for pts_s, _ in packets) + Fraction(1, 25)
    return name, packets, end_s


def _jpegs(clip: Path) -> tuple[str, list[tuple[Fraction, bytes]], Fraction]:
    packets: list[tuple[Fraction, bytes]] = []
    encoder = None
    with av.open(clip) as container:
        for frame in container.decode(video=0):
            if encoder is None:
                encoder = av.CodecContext.create("mjpeg", "w")
                encoder.width, encoder.height = frame.width, frame.height
                encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 90_000)
            at_s = Fraction(frame.time or 0.0)
            jpeg = frame.reformat(format="yuvj420p")
            jpeg.pts, jpeg.time_base = round(at_s * 90_000), Fraction(1, 90_000)
            packets += [(at_s, bytes(packet)) for packet in encoder.encode(jpeg)]
    return "mjpeg", packets, packets[-1][0] + Fraction(1, 25)
