"""`streamproc` as it is, with notes of when each record was acknowledged and where CPU time goes.

    python -m benchmarks.watched FOLDER [--parts] serve ...

FOLDER/records gets a line per record at the moment its processor hears that the data stream has
it: on disk, and answered. With --parts, FOLDER/parts gets a line of JSON at every SIGUSR1: CPU
seconds of the process and of its parts so far. Parts hook by name; a name that is gone ends the
start, so that no figure is silently another's.
"""

import importlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from io import RawIOBase
from pathlib import Path
from typing import Any

from benchmarks.figures import Acknowledged
from benchmarks.stopwatch import Stopwatch

DECODING = "decoding"
COLOUR = "scaling and colour"  # pixels to pixels, the small grey pictures of motion included
NETWORKS = "the models"
AROUND = "around the models"  # boxes, suppression, landmarks, quality, tracks
PARSING = "parsing"
PARTS = (
    ("streamproc.decode.decoder", "VideoDecoder.feed", DECODING),
    ("streamproc.decode.decoder", "VideoDecoder.flush", DECODING),
    ("streamproc.decode.decoder", "Picture.image", COLOUR),
    ("cv2", "resize", COLOUR),
    ("cv2", "cvtColor", COLOUR),
    ("cv2", "warpAffine", COLOUR),
    ("cv2", "split", COLOUR),
    ("cv2", "addWeighted", COLOUR),
    ("cv2.dnn", "blobFromImage", COLOUR),
    ("cv2.dnn", "blobFromImages", COLOUR),
    ("onnxruntime", "InferenceSession.run", NETWORKS),
    ("onnxruntime", "InferenceSession.run_with_iobinding", NETWORKS),
    ("streamproc.engines.live", "LiveView.analyse", AROUND),
    ("streamproc.mkv.fragments", "FragmentParser.feed", PARSING),
)
"""Module, function or method, and the part that its CPU time is. Within each other: innermost."""

_HEAD = re.compile(
    rb'"StreamArn":"[^"]*:stream/([^/"]*)[^}]*"ProducerTimestamp":([\d.]+),'
    rb'"FrameOffsetInSeconds":(-?[\d.e-]+)'
)
_FACE = b'"DetectedFace"'


def line(at_s: float, data: bytes) -> bytes:
    """What is kept of a record: little, and cheap to write, because it is written while we
    measure."""
    return b"%.6f %d %b\n" % (at_s, data.count(_FACE), data[: data.index(b"}")])


def read(lines: Sequence[bytes]) -> Iterator[Acknowledged]:
    """What line() wrote. Raises ValueError for what is no record of a face search."""
    for text in lines:
        at_s, faces, data = text.split(b" ", 2)
        if (head := _HEAD.search(data)) is None:
            raise ValueError(f"{data[:200]!r} is not the beginning of a record")
        stream, producer_s, offset_s = head.groups()
        media_ms = round(float(producer_s) * 1000) + round(float(offset_s) * 1000)
        yield Acknowledged(stream.decode(), media_ms, float(at_s), int(faces))


def _note_records(to: RawIOBase) -> None:
    from streamproc.processor.pipeline import Pipeline

    plain = Pipeline.delivered

    def delivered(self: Pipeline, entries: Sequence[Any]) -> None:
        at_s = time.time()
        to.write(b"".join(line(at_s, entry.data) for entry in entries))
        plain(self, entries)

    Pipeline.delivered = delivered  # type: ignore[method-assign]


def _time_parts(file: Path) -> None:
    watch = Stopwatch()
    for module, path, part in PARTS:
        owner: Any = importlib.import_module(module)
        *classes, method = path.split(".")
        for name in classes:
            owner = getattr(owner, name)
        watch.wrap(owner, method, part)

    def tell(*_: object) -> None:
        spent = {"cpu_s": time.process_time(), "parts": watch.cpu_s, "calls": watch.calls}
        with file.open("a") as parts:
            parts.write(json.dumps(spent) + "\n")

    signal.signal(signal.SIGUSR1, tell)


def main() -> None:
    folder, *arguments = sys.argv[1:]
    if arguments[0] == "--parts":
        del arguments[0]
        _time_parts(Path(folder) / "parts")
    with (Path(folder) / "records").open("wb", buffering=0) as records:
        _note_records(records)
        from streamproc.cli import main as cli

        sys.argv = ["streamproc", *arguments]
        cli.main()


if __name__ == "__main__":
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "bench")
    main()
