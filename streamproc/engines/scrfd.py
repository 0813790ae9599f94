"""SCRFD: where faces are in a picture, or in a window of it.

InsightFace's own class says what a detector's file holds; the way from a picture to the
network's input and from its outputs to boxes is here, because InsightFace's costs a fifth of
the network. Computes what InsightFace computes. Knows one size at a time; which sizes and which
windows to look at is the engine's to know. Safe to call from several threads at once.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import onnxruntime

from streamproc.engines.base import Sighting
from streamproc.engines.planes import fill_planes
from streamproc.engines.scratch import Scratch
from streamproc.engines.scrfd_heads import Floats, Head, Hits
from streamproc.model.face import Edges
from streamproc.model.media import Image

STRIDE = 32
"""Of SCRFD's coarsest grid: the network's inputs are multiples of it, and so are windows' edges,
so that a window's grids are parts of the whole picture's."""

Window = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels of the picture scaled to the detector's size."""

Candidates = tuple[Floats, Floats, Floats]
"""Boxes of shape (n, 4), scores (n,) and points (n, 5, 2)."""

_NONE: Candidates = (
    np.empty((0, 4), np.float32),
    np.empty(0, np.float32),
    np.empty((0, 5, 2), np.float32),
)


class Scrfd:
    """A detector with landmarks, on one session for every size."""

    def __init__(
        self,
        published: Any,
        confidence_min: float,
        session: onnxruntime.InferenceSession | None = None,
        heads: Sequence[Head] | None = None,
    ) -> None:
        """published: InsightFace's SCRFD, loaded. confidence_min: 0 to 100. With a session and
        heads, these run instead: the same network after split_heads()."""
        self._session: onnxruntime.InferenceSession = session or published.session
        self._heads = heads
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._input: str = published.input_name
        self._strides: list[int] = published._feat_stride_fpn
        self._anchors: int = published._num_anchors
        self._batched: bool = published.batched
        self._mean, self._std = published.input_mean, published.input_std
        # uint8 where the network normalises its input itself.
        self._dtype = getattr(published, "input_dtype", np.float32)
        self._score_min = confidence_min / 100.0
        self._overlap_max: float = published.nms_thresh
        self.levels = len(self._strides)
        self.fixed_size: tuple[int, int] | None = published.static_input_size
        """Width and height of its input, if it takes only one."""
        self._scratch = Scratch()

    def scaled_size(self, image: Image, side: int) -> tuple[int, int] | None:
        """Width and height of a picture scaled until its longer side has this many pixels, or
        until it fits the one size that the detector takes. None if nothing would be left of it."""
        height, width = image.shape[:2]
        across, down = self.fixed_size or (side, side)
        ratio = height / width
        size = (int(down / ratio), down) if ratio > down / across else (across, int(across * ratio))
        return size if min(size) >= 1 else None

    def look(
        self, image: Image, size: tuple[int, int], window: Window | None = None
    ) -> list[Sighting]:
        """The faces in a picture scaled to this size, the surest first, in pixels of the picture
        as it was; with a window, those that are seen in it alone."""
        left, top, _, _ = window = window or (0, 0, *size)
        part = scaled_part(image, size, window, self._scratch)
        boxes, scores, points = self.candidates(part, self._score_min)
        scale = size[1] / image.shape[0]
        boxes = (boxes + np.array([left, top] * 2, np.float32)) / scale
        points = (points + np.array([left, top], np.float32)) / scale
        return [
            Sighting(tuple(boxes[at].tolist()), min(float(scores[at]) * 100.0, 100.0), points[at])
            for at in suppress(boxes, scores, self._overlap_max)
        ]

    def candidates(self, part: Image, score_min: float) -> Candidates:
        """What scores this much in a picture as it is, in its pixels; several for each face."""
        blob = self._blob(part)
        feed = blob.astype(self._dtype, copy=False)
        outputs = self._session.run(self._outputs, {self._input: feed})
        if self._batched or self._heads is not None:
            outputs = [output[0] for output in outputs]
        across, found = blob.shape[3], []
        for level, stride in enumerate(self._strides):
            hits = self._hits(outputs[level :: self.levels], level, across // stride, score_min)
            if hits is None:
                continue
            centres = np.stack([hits.columns, hits.rows], axis=1).astype(np.float32) * stride
            edges, points = hits.edges * stride, hits.points.reshape(-1, 5, 2) * stride
            boxes = np.hstack([centres - edges[:, :2], centres + edges[:, 2:]])
            found.append((boxes, hits.scores, centres[:, None] + points))
        if not found:
            return _NONE
        boxes, scores, points = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return boxes, scores, points

    def _hits(
        self, outputs: Sequence[Floats], level: int, columns: int, score_min: float
    ) -> Hits | None:
        """What a grid of so many columns found."""
        if self._heads is not None:
            shares, features = outputs
            return self._heads[level].hits(shares, features, score_min)
        scores, edges, points = outputs
        scores = scores.reshape(-1)
        (at,) = np.nonzero(scores >= score_min)
        if not len(at):
            return None
        rows, across = np.divmod(at // self._anchors, columns)
        return Hits(scores[at], rows, across, edges[at], points[at])

    def _blob(self, part: Image) -> Floats:
        """The network's input, of shape (1, 3, height, width): RGB, normalised, padded with what
        was black. It is this thread's own, and good until the thread asks again."""
        height, width = part.shape[:2]
        across, down = self.fixed_size or (
            -(-width // STRIDE) * STRIDE,
            -(-height // STRIDE) * STRIDE,
        )
        blob = self._scratch.block("blob", (1, 3, down, across), np.float32)
        shift = -self._mean / self._std
        blob[..., height:, :], blob[..., :height, width:] = shift, shift
        fill_planes(blob[0, :, :height, :width], part, self._mean, self._std, self._scratch)
        return blob


def scaled_part(image: Image, size: tuple[int, int], window: Window, scratch: Scratch) -> Image:
    """What the window shows of the picture scaled to this size, in the scratch's block "scaled".
    Only the window is scaled where its edges fall between two pixels of the picture, as they do
    at the sizes cameras have."""
    left, top, right, bottom = window
    height, width = image.shape[:2]
    across, down = width / size[0], height / size[1]
    edges = (left * across, top * down, right * across, bottom * down)
    if all(edge.is_integer() for edge in edges):
        x0, y0, x1, y1 = (int(edge) for edge in edges)
        part = scratch.block("scaled", (bottom - top, right - left, 3), np.uint8)
        cv2.resize(image[y0:y1, x0:x1], (right - left, bottom - top), dst=part)
        return part
    whole = scratch.block("scaled", (size[1], size[0], 3), np.uint8)
    cv2.resize(image, size, dst=whole)
    return whole[top:bottom, left:right]


def suppress(boxes: Floats, scores: Floats, overlap_max: float) -> list[int]:
    """Which boxes of shape (n, 4) to keep, the surest first: none that overlaps a surer one by
    more, in intersection over union. As InsightFace, which counts a pixel at both ends."""
    left, top, right, bottom = boxes.T
    areas = (right - left + 1) * (bottom - top + 1)
    kept: list[int] = []
    gone = np.zeros(len(boxes), bool)
    for at in np.argsort(-scores, kind="stable").tolist():
        if gone[at]:
            continue
        kept.append(at)
        width = np.minimum(right, right[at]) - np.maximum(left, left[at]) + 1
        height = np.minimum(bottom, bottom[at]) - np.maximum(top, top[at]) + 1
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        gone |= shared > overlap_max * (areas + areas[at] - shared)
    return kept


def window_around(region: Edges, size: tuple[int, int], scale: float, margin: int) -> Window:
    """What must be seen of a picture scaled to this size for a region in pixels of the unscaled
    one: with so many pixels around it, on edges that are multiples of STRIDE or the picture's."""
    left, top, right, bottom = (edge * scale for edge in region)
    return (
        max(int(left - margin) // STRIDE * STRIDE, 0),
        max(int(top - margin) // STRIDE * STRIDE, 0),
        min(-int(-(right + margin) // STRIDE) * STRIDE, size[0]),
        min(-int(-(bottom + margin) // STRIDE) * STRIDE, size[1]),
    )
