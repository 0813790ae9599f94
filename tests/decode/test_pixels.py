"""Pictures in memory that FFmpeg lends, against VideoFrame.reformat(), which makes each anew."""

import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, product

import av
import numpy as np
import pytest

from streamproc.decode import pixels
from streamproc.decode.pixels import Converter
from streamproc.model.media import Image

SIZES = [(320, 192), (322, 178), (161, 121), (3, 2), (1, 1)]
FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "gray", "gbrp"]
RANGES, SPACES = range(3), (0, 1, 2, 4, 5, 6, 7, 9)  # as FFmpeg numbers them


def noise(size: tuple[int, int], stored: str = "yuv420p", seed: int = 0) -> av.VideoFrame:
    width, height = size
    drawn = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(drawn, format="bgr24")
    return frame if stored == "bgr24" else frame.reformat(format=stored)


def reformatted(frame: av.VideoFrame) -> Image:
    return frame.reformat(format="bgr24", threads=1).to_ndarray().astype(np.uint8)


@pytest.mark.parametrize("stored", [*FORMATS, "rgb24", "bgr24", "rgba"])
@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_the_same_to_the_bit(stored: str, size: tuple[int, int]) -> None:
    converter = Converter()
    for seed, (of_range, space) in enumerate(product(RANGES, SPACES)):
        frame = noise(size, stored, seed)
        frame.color_range, frame.colorspace = of_range, space
        image = converter.to_bgr(frame)
        assert np.array_equal(image, reformatted(frame))
        assert image.flags.c_contiguous
        assert image.flags.writeable


@pytest.mark.parametrize("space", [3, 8, 10, 14, 17, 255])
def test_a_colour_space_that_nobody_converts_counts_as_unsaid(space: int) -> None:
    frame = noise((320, 192))
    expected = reformatted(frame)
    frame.colorspace = space
    assert np.array_equal(Converter().to_bgr(frame), expected)


def test_a_picture_stays_as_it_is_while_it_is_held() -> None:
    converter = Converter()
    frames = [noise((320, 192), seed=seed) for seed in range(20)]
    held = [converter.to_bgr(frame) for frame in frames]
    regions = [converter.to_bgr(frame)[20:90, 30:100] for frame in frames]
    for frame in frames:
        converter.to_bgr(frame)  # held by nobody
    del converter
    for frame, image, region in zip(frames, held, regions, strict=True):
        assert np.array_equal(image, reformatted(frame))
        assert np.array_equal(region, reformatted(frame)[20:90, 30:100])


def test_a_picture_is_its_holders_own_to_draw_in() -> None:
    converter = Converter()
    for stored in ("yuv420p", "bgr24"):
        frame = noise((320, 192), stored)
        expected = reformatted(frame)
        for _ in range(3):
            image = converter.to_bgr(frame)
            assert np.array_equal(image, expected)
            image[:] = 0


def address(image: Image) -> int:
    return int(image.ctypes.data)


def shared(size: tuple[int, int]) -> list[object]:
    """The pools for pictures of this size."""
    return [graph for layout, graph in pixels._graphs.items() if layout[:2] == size]


def test_memory_is_used_again_once_nobody_holds_it() -> None:
    converter = Converter()
    frame = noise((320, 192))
    assert len({address(converter.to_bgr(frame)) for _ in range(10)}) == 1
    held = [converter.to_bgr(frame) for _ in range(3)]
    assert len({address(image) for image in held}) == 3


def test_sources_of_one_layout_share_memory_and_the_last_one_gives_it_back() -> None:
    first, second = Converter(), Converter()
    size, frame = (384, 190), noise((384, 190))
    lent = [address(source.to_bgr(frame)) for source in (first, second)]
    assert lent[0] == lent[1]
    assert len(shared(size)) == 1
    del first
    image = second.to_bgr(frame)
    assert len(shared(size)) == 1
    second.to_bgr(noise((320, 192)))  # changed its layout
    assert not shared(size)
    assert np.array_equal(image, reformatted(frame))


def test_a_pool_that_has_lent_enough_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_PICTURES_PER_POOL", 10)
    sources, frame = [Converter() for _ in range(4)], noise((384, 190))
    expected, made = reformatted(frame), 0
    pools: weakref.WeakSet[object] = weakref.WeakSet()
    for number in range(60):
        assert np.array_equal(sources[number % 4].to_bgr(frame), expected)
        [pool] = shared((384, 190))
        made += pool not in pools
        pools.add(pool)
    assert made == 6
    assert list(pools) == [pool]


def test_threads_convert_side_by_side() -> None:
    converter = Converter()
    frames = [noise(size, seed=seed) for seed in range(8) for size in SIZES]
    with ThreadPoolExecutor(4) as threads:
        images = list(threads.map(converter.to_bgr, frames * 5))
    for frame, image in zip(frames * 5, images, strict=True):
        assert np.array_equal(image, reformatted(frame))


def test_layouts_may_change_from_frame_to_frame() -> None:
    converter = Converter()
    for size, stored in islice(product(SIZES, FORMATS), 0, None, 3):
        frame = noise(size, stored)
        assert np.array_equal(converter.to_bgr(frame), reformatted(frame))


def test_what_ffmpeg_has_no_filters_for_is_reformatted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_shared_graph", lambda _: None)
    frame = noise((320, 192))
    assert np.array_equal(Converter().to_bgr(frame), reformatted(frame))


def test_a_frame_that_the_filters_refuse_is_reformatted_and_never_given_out_later() -> None:
    converter = Converter()
    first, second = noise((384, 190), seed=1), noise((384, 190), seed=2)
    converter.to_bgr(first)
    [graph] = shared((384, 190))
    assert isinstance(graph, pixels._Graph)
    graph._source.push(None)  # from here on it takes no frame
    for frame in (second, first):
        assert np.array_equal(converter.to_bgr(frame), reformatted(frame))
    assert graph.is_used_up
    assert graph not in shared((384, 190))
