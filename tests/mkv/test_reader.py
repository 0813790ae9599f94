"""What reading costs: work in step with the bytes, memory in step with one element."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from streamproc.mkv import ebml, reader
from streamproc.mkv.ebml import Id, element, id_bytes, size_bytes
from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.reader import ElementReader
from streamproc.mkv.splitter import ProducerSplitter
from streamproc.mkv.writer import MkvWriter, aws_tags
from streamproc.model.media import Packet
from tests.mkv.documents import bytewise, chunked, header, opening_tags

MIB = 1 << 20


def test_the_work_grows_with_the_bytes_even_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    def counting_read_header(data: bytes, start: int, position: int) -> Any:
        nonlocal looked_at
        looked_at += 1 + len(data) - start
        return ebml.read_header(data, start, position)

    monkeypatch.setattr(reader, "read_header", counting_read_header)
    pairs = [(f"name {i}", "x" * 200) for i in range(200)]
    blocks = b"".join(MkvWriter().block(1, i, i == 0, bytes(50)) for i in range(200))
    body = header() + aws_tags(pairs) + MkvWriter().cluster(0) + blocks + bytes([0xEC, 0x50, 0])
    body += bytes(4096)
    for parser in (FragmentParser(), ProducerSplitter()):
        looked_at = 0
        for piece in bytewise(body):
            parser.feed(piece)
        assert looked_at < 3 * len(body)


def large_block(size: int) -> Iterator[bytes]:
    yield id_bytes(Id.SIMPLE_BLOCK) + size_bytes(size + 4) + b"\x81\0\0\x80"
    yield from (bytes(4096) for _ in range(size // 4096))


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_what_nobody_asked_for_is_not_held(traced: None) -> None:
    parser = FragmentParser()
    parser.feed(header() + opening_tags(1) + id_bytes(Id.VOID) + size_bytes(20 * MIB))
    for _ in range(20 * 16):
        assert parser.feed(bytes(MIB // 16)) == []
    assert parser.feed(MkvWriter().cluster(7)), "the Cluster behind the Void was not found"
    assert tracemalloc.get_traced_memory()[1] < MIB


def test_a_payload_is_held_once_until_it_is_whole(traced: None) -> None:
    parser = FragmentParser()
    parser.feed(header() + MkvWriter().cluster(0))
    events = [event for piece in large_block(8 * MIB) for event in parser.feed(piece)]
    assert [len(e.payload) for e in events if isinstance(e, Packet)] == [8 * MIB]
    assert tracemalloc.get_traced_memory()[1] < 20 * MIB  # a buffer grows by halves, no more


def test_the_splitter_holds_no_payload(traced: None) -> None:
    splitter = ProducerSplitter()
    splitter.feed(header() + MkvWriter().cluster(0))
    pieces = sum(len(splitter.feed(piece)) for piece in large_block(8 * MIB))
    assert pieces > 2000
    assert tracemalloc.get_traced_memory()[1] < MIB


@pytest.mark.parametrize("payloads", [True, False])
def test_every_byte_belongs_to_a_token(payloads: bool) -> None:
    body = header() + opening_tags(1) + MkvWriter().cluster(0) + element(Id.VOID, bytes(70))
    for size in (1, 5, 1000):
        cutter = ElementReader(payloads=payloads)
        for piece in chunked(body, size):
            list(cutter.feed(piece))
        assert cutter.position == len(body)
        assert not cutter.cut
