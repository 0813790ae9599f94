"""Small films made on the spot, good and bad, and a producer that sends any bytes at all."""

import http.client
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import av
import numpy as np
from numpy.typing import NDArray

FPS = 10
SIZE = (160, 120)
Ack: TypeAlias = dict[str, Any]
Pictures: TypeAlias = Sequence[NDArray[np.uint8]]


def plain(count: int = 2 * FPS, size: tuple[int, int] = SIZE) -> list[NDArray[np.uint8]]:
    """Grey pictures that differ, with nobody in them."""
    return [np.full((size[1], size[0], 3), 60 + number, np.uint8) for number in range(count)]


def film(
    pictures: Pictures | None = None, encoder: str = "libx264", parameters_in_band: bool = False
) -> bytes:
    """Matroska as FFmpeg writes it: FPS pictures and one keyframe a second, sizes stated."""
    pictures = pictures or plain()
    buffer = io.BytesIO()
    # A Cluster, and so a fragment, per second.
    options = {"cluster_time_limit": "950", "cluster_size_limit": "5000000"}
    with av.open(buffer, "w", format="matroska", options=options) as output:
        stream = cast("av.VideoStream", output.add_stream(encoder, rate=FPS))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"g": str(FPS), "threads": "1"}
        if encoder == "libx264":
            stream.options |= {"preset": "ultrafast", "bf": "0", "sc_threshold": "0"}
            if parameters_in_band:
                stream.options |= {"x264-params": "repeat-headers=1"}
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def sound(seconds: float = 1.0) -> bytes:
    """Matroska with one AAC track of silence."""
    rate = 16_000
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream = cast("av.AudioStream", output.add_stream("aac", rate=rate))
        for start in range(0, int(seconds * rate), 1024):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = rate, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def put_media(
    url: str, stream: str, body: bytes, *, cut: bool = False, **headers: str
) -> tuple[int, list[Ack]]:
    """PutMedia with this body as it is; the status, and what was answered line by line.

    cut leaves without the end that chunked encoding asks for, as a producer does that loses
    its connection; there is no answer then.
    """
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.putrequest("POST", "/putMedia")
    for name, value in {
        "x-amzn-stream-name": stream,
        "x-amzn-fragment-timecode-type": "RELATIVE",
        "x-amzn-fragment-acknowledgment-required": "1",
        "Transfer-Encoding": "chunked",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        for chunk in _chunks(body):
            connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if cut:
            return 0, []
        connection.send(b"0\r\n\r\n")
        answer = connection.getresponse()
        lines = answer.read().decode().splitlines()
        return answer.status, [json.loads(line) for line in lines if line]
    finally:
        connection.close()


def _chunks(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 4096):
        yield body[at : at + 4096]
