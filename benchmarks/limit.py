"""What looking at every sampled frame costs at the least: decoding, and the networks alone.

    python -m benchmarks.limit CLIP PACK --fps 5

One thread decodes every frame; then the daemon's own engine looks at each sampled one, and of that
only the time inside ONNX Runtime counts: no scaling, no boxes, no cutting out, no search, no
records. Less than this takes looking at less. Prints one JSON object.
"""

import argparse
import json
import math
import time
from pathlib import Path

import av
import onnxruntime

from benchmarks.stopwatch import Stopwatch
from streamproc.config import load_config
from streamproc.engines.load import load_engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clip", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--fps", type=float, default=5.0)
    arguments = parser.parse_args()
    engine = load_engine(load_config(None, {"engine": {"pack": str(arguments.pack)}}).engine)
    watch = Stopwatch()
    watch.wrap(onnxruntime.InferenceSession, "run", "networks")

    slot, sampled, faces, last_s = None, 0, 0, 0.0
    before = time.process_time()
    with av.open(arguments.clip) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            last_s = frame.time or 0.0
    decoding_s = time.process_time() - before
    with av.open(arguments.clip) as container:
        for frame in container.decode(video=0):
            if (current := math.floor((frame.time or 0.0) * arguments.fps)) == slot:
                continue
            slot, sampled = current, sampled + 1
            faces += len(engine.analyse([frame.to_ndarray(format="bgr24")])[0])
    print(
        json.dumps(
            {
                "decoding_s": decoding_s,
                "networks_s": watch.cpu_s["networks"],
                "video_s": last_s,
                "sampled": sampled,
                "faces": faces,
            }
        )
    )


if __name__ == "__main__":
    main()
