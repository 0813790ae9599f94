"""Small films made on the spot, good and bad, and a producer that sends any bytes at all."""

import http.client
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import av
import numpy as np
from numpy.typing import NDArray

from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.writer import MkvWriter, aws_tags
from streamproc.model.media import FragmentEnded, FragmentStarted, Packet

FPS = 10
FRAGMENT = 4  # pictures, of which five a second are sampled: two
SIZE = (160, 120)
Ack: TypeAlias = dict[str, Any]
Pictures: TypeAlias = Sequence[NDArray[np.uint8]]


def plain(count: int = 2 * FRAGMENT, size: tuple[int, int] = SIZE) -> list[NDArray[np.uint8]]:
    """Grey pictures that differ, with nobody in them."""
    return [np.full((size[1], size[0], 3), 60 + number, np.uint8) for number in range(count)]


def film(
    pictures: Pictures | None = None, encoder: str = "libx264", parameters_in_band: bool = False
) -> bytes:
    """Matroska as FFmpeg writes it, sizes stated: FPS pictures a second, every FRAGMENT of
    them a keyframe and a Cluster."""
    pictures = pictures or plain()
    buffer = io.BytesIO()
    cluster_ms = (FRAGMENT - 1) * 1000 // FPS + 50  # the next keyframe opens one
    options = {"cluster_time_limit": str(cluster_ms), "cluster_size_limit": "5000000"}
    with av.open(buffer, "w", format="matroska", options=options) as output:
        stream = cast("av.VideoStream", output.add_stream(encoder, rate=FPS))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"g": str(FRAGMENT), "threads": "1"}
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
        stream = output.add_stream("aac", rate=rate)
        for start in range(0, int(seconds * rate), 1024):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = rate, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def joined(*films: bytes, spoil: Callable[[bytes], bytes] = bytes) -> bytes:
    """Films of up to two seconds one behind the other, under the header of the first.

    As the simplest of producers would send them: no sizes, no tags. spoil is done to each
    coded picture.
    """
    writer = MkvWriter()
    body = b""
    for number, whole in enumerate(films):
        for event in FragmentParser().feed(whole):
            if isinstance(event, FragmentStarted):
                body = body or writer.header(event.fragment.tracks)
                body += writer.cluster(event.fragment.timecode_ns // 1_000_000 + 2000 * number)
            elif isinstance(event, Packet):
                rel_ms = event.offset_ns // 1_000_000
                body += writer.block(event.track, rel_ms, event.keyframe, spoil(event.payload))
    return body


def documents(whole: bytes, *, tags: bool = True) -> list[bytes]:
    """The film's fragments as GetMedia delivers them, numbered 1, 2 and so on."""
    writer, found = MkvWriter(), list[bytes]()
    for event in FragmentParser().feed(whole):
        if isinstance(event, FragmentStarted):
            start_ms = 1_700_000_000_000 + event.fragment.timecode_ns // 1_000_000
            stamp = f"{start_ms / 1000:.3f}"
            number = str(len(found) + 1)
            opening = {"FRAGMENT_NUMBER": number, "SERVER_TIMESTAMP": stamp,
                       "PRODUCER_TIMESTAMP": stamp}  # fmt: skip
            found.append(writer.header(event.fragment.tracks))
            found[-1] += _aws(opening) if tags else b""
            found[-1] += writer.cluster(start_ms)
        elif isinstance(event, Packet):
            rel_ms = event.offset_ns // 1_000_000
            found[-1] += writer.block(event.track, rel_ms, event.keyframe, event.payload)
        elif isinstance(event, FragmentEnded) and tags:
            found[-1] += _aws({"MILLIS_BEHIND_NOW": "0", "CONTINUATION_TOKEN": number})
    return found


def _aws(pairs: dict[str, str]) -> bytes:
    return aws_tags([(f"AWS_KINESISVIDEO_{name}", value) for name, value in pairs.items()])


def put_media(
    url: str, stream: str, body: bytes, *, cut_after: str = "", **headers: str
) -> tuple[int, list[Ack]]:
    """PutMedia with this body as it is; the status, and what was answered line by line.

    cut_after leaves behind an acknowledgement of this type, without the end that chunked
    encoding asks for, as a producer does that loses its connection.
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
        for at in range(0, len(body), 4096):
            chunk = body[at : at + 4096]
            connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if not cut_after:
            connection.send(b"0\r\n\r\n")
        answer = connection.getresponse()
        acks: list[Ack] = []
        while line := answer.readline():
            acks.append(json.loads(line))
            if cut_after and acks[-1]["EventType"] == cut_after:
                break
        return answer.status, acks
    finally:
        connection.close()
