"""The loop everyone writes: decode, FaceAnalysis.get on each sampled frame, flat search.

The baseline of pipeline.py and stored_video.py, run in a process of its own. Prints one JSON
object.
"""

import argparse
import json
import math
import time
from pathlib import Path

import av
import cv2
import faiss
import numpy as np
import onnxruntime
from insightface.app import FaceAnalysis
from numpy.typing import NDArray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=0, help="of ONNX Runtime; 0: its default")
    parser.add_argument("--enrol", type=Path, nargs="*", default=[], help="pictures of a face")
    parser.add_argument("--cosine", type=float, default=1.0, help="from which on a face is named")
    arguments = parser.parse_args()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    app = FaceAnalysis(
        name=str(arguments.pack),
        allowed_modules=["detection", "recognition"],  # as ours does; packs know age and gender too
        providers=["CPUExecutionProvider"],
        sess_options=options,
    )
    app.prepare(ctx_id=-1)
    app.get(np.zeros((720, 1280, 3), np.uint8))
    index = faiss.IndexFlatIP(app.models["recognition"].output_shape[-1])
    if arguments.enrol:
        index.add(np.stack([_largest(app, picture) for picture in arguments.enrol]))
    else:
        index.add(np.eye(60, index.d, dtype=np.float32))

    slot, sampled, faces, last_s = None, 0, 0, 0.0
    named: list[tuple[float, float, int]] = []  # second, left edge in ratios, who
    before, wall = time.process_time(), time.monotonic()
    with av.open(arguments.clip) as container:
        for frame in container.decode(video=0):
            last_s = frame.time or 0.0
            if (current := math.floor(last_s * arguments.fps)) == slot:
                continue
            slot, sampled = current, sampled + 1
            for face in app.get(frame.to_ndarray(format="bgr24")):
                cosines, who = index.search(face.normed_embedding[None], 1)
                faces += 1
                if arguments.enrol and cosines[0, 0] >= arguments.cosine:
                    named.append((last_s, float(face.bbox[0]) / frame.width, int(who[0, 0])))
    print(
        json.dumps(
            {
                "cpu_s": time.process_time() - before,
                "wall_s": time.monotonic() - wall,
                "video_s": last_s,
                "sampled": sampled,
                "faces": faces,
                "named": named,
            }
        )
    )


def _largest(app: FaceAnalysis, picture: Path) -> NDArray[np.float32]:
    faces = app.get(cv2.imread(str(picture)))
    faces.sort(key=lambda face: face.bbox[2] - face.bbox[0])
    return np.asarray(faces[-1].normed_embedding, np.float32)


if __name__ == "__main__":
    main()
