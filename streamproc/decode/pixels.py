"""From FFmpeg's frames to the pictures that are analysed: BGR, and upright.

Knows pixel formats and display matrices; knows nothing of time, codecs or files.
"""

from threading import Lock
from typing import TypeAlias, cast
from weakref import WeakValueDictionary

import av
import av.filter
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType

from streamproc.model.media import Image

_Layout: TypeAlias = tuple[int, int, str, int, int]
"""Width, height, pixel format, FFmpeg's colour space and range: what a graph is made for."""

_SPACES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
"""Colour spaces whose matrix swscale has, numbered as in ITU-T H.273, 8.3. It refuses frames that
say another, and a flipped bit in a parameter set is enough for that."""
_UNSPECIFIED = 2

_PICTURES_PER_POOL = 2000
"""Then a new pool takes over: one that once lent many pictures keeps their memory. At 5 pictures
a second this gives it back within 7 minutes."""


class Converter:
    """Frames as BGR, whatever they are stored as; transparency is ignored.

    One per source of frames. Its pictures lie in memory that FFmpeg lends and takes back when
    nobody holds them any more: fresh memory for each would cost five times the conversion, page
    by page. Sources of one layout share a pool, which ends with the last of them. Any thread may
    call it.
    """

    def __init__(self) -> None:
        # Read and replaced as one: another thread may do so at the same time.
        self._current: tuple[_Layout | None, _Graph | None] = (None, None)

    def to_bgr(self, frame: av.VideoFrame) -> Image:
        """A picture that nobody else writes to, for as long as it is held. A frame in a colour
        space that cannot be converted counts as one that does not say.

        Costs about 0.35 ms at 1280x720: ask only for what will be analysed.
        """
        if frame.colorspace not in _SPACES:
            frame.colorspace = _UNSPECIFIED
        size, pixels = (frame.width, frame.height), frame.format.name
        layout = (*size, pixels, int(frame.colorspace), int(frame.color_range))
        known, graph = self._current
        if layout != known or (graph is not None and graph.is_used_up):
            graph = _shared_graph(layout)
            self._current = layout, graph
        if graph is not None and (lent := graph.convert(frame)) is not None:
            return np.ascontiguousarray(_pixels(lent))
        # One thread: swscale would otherwise start one per core for every picture.
        bgr = frame.reformat(format="bgr24", threads=1).to_ndarray()
        return np.array(bgr, dtype=np.uint8, order="C")


class _Graph:
    """FFmpeg's filters from one layout to BGR, which keep a pool of pictures. Raises
    av.FFmpegError if FFmpeg has no way from there."""

    def __init__(self, layout: _Layout) -> None:
        width, height, pixels, space, colours = layout
        self._pictures_left = _PICTURES_PER_POOL
        self._has_failed = False
        self._lock = Lock()
        self._graph = av.filter.Graph()  # its filters live as long as it does
        self._graph.threads = 1
        self._source = self._graph.add(
            "buffer",
            f"video_size={width}x{height}:pix_fmt={pixels}:time_base=1/1000:"
            f"colorspace={space}:range={colours}",
        )
        # As VideoFrame.reformat() does, to the bit, for progressive pictures of 8 bits; better than
        # it for interlaced ones.
        scale = self._graph.add("scale", "flags=bilinear")
        bgr = self._graph.add("format", "pix_fmts=bgr24")
        self._sink = self._graph.add("buffersink")
        self._graph.link_nodes(self._source, scale, bgr, self._sink)
        self._graph.configure()

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame | None:
        """None if it cannot, then and ever after: it may still hold the frame that it failed at,
        and would give that out in place of the next."""
        with self._lock:
            self._pictures_left -= 1
            if self._has_failed:
                return None
            try:
                self._source.push(frame)
                return cast("av.VideoFrame", self._sink.pull())
            except av.FFmpegError:
                self._has_failed = True
                return None

    @property
    def is_used_up(self) -> bool:
        return self._has_failed or self._pictures_left <= 0


_graphs: WeakValueDictionary[_Layout, _Graph] = WeakValueDictionary()
_graphs_lock = Lock()


def _shared_graph(layout: _Layout) -> _Graph | None:
    """The one that sources of this layout share, None where FFmpeg builds none."""
    if layout[2] == "bgr24":
        return None  # it would give out the frame's own memory
    with _graphs_lock:
        graph = _graphs.get(layout)
        if graph is None or graph.is_used_up:
            try:
                _graphs[layout] = graph = _Graph(layout)
            except av.FFmpegError:
                return None
        return graph


def _pixels(bgr: av.VideoFrame) -> Image:
    """The frame's own memory, whose lines may be longer than the picture is wide."""
    plane = bgr.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(bgr.height, plane.line_size)
    return lines[:, : bgr.width * 3].reshape(bgr.height, bgr.width, 3)


def upright(frame: av.VideoFrame, converter: Converter) -> Image:
    """The frame as BGR, turned and mirrored as its display matrix says.

    A matrix [a b; c d] sends a pixel (x, y) to (a*x + c*y, b*x + d*y), y pointing down
    (QuickTime File Format, "Matrices"). Angles between quarter turns count as the nearest one.
    """
    image = converter.to_bgr(frame)
    a, b, c, d = _display_matrix(frame)
    if lies_on_its_side(frame):
        across, down = c, b
        image = image.transpose(1, 0, 2)
    else:
        across, down = a, d
    turned = image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
    return np.ascontiguousarray(turned)


def lies_on_its_side(frame: av.VideoFrame) -> bool:
    """Whether width and height change places when the frame is made upright."""
    a, b, _, _ = _display_matrix(frame)
    return abs(b) > abs(a)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """a, b, c and d, as 16.16 fixed point numbers."""
    # The stub of VideoFrame knows another kind of side data than the class has.
    data = cast("SideDataContainer", frame.side_data).get(SideDataType.DISPLAYMATRIX)
    if data is None:
        return 1, 0, 0, 1
    matrix = np.frombuffer(data, np.int32)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])
