"""Any bytes through FragmentParser and ProducerSplitter: events or MkvError, and nothing else.

What is promised besides: the same events for any split of the bytes, every fragment ends, no more
comes out than went in.
"""

import time
from itertools import accumulate
from random import Random
from typing import Any

from streamproc.mkv.fragments import FragmentParser
from streamproc.mkv.splitter import (
    BlockSeen,
    ClusterData,
    Header,
    Piece,
    ProducerSplitter,
    Trailing,
)
from streamproc.mkv.writer import MkvWriter, aws_tags
from streamproc.model.media import MediaEvent, Packet
from tests.fuzz.mutate import damaged, elements, restructured, tree
from tests.fuzz.tally import Tally
from tests.mkv.documents import (
    closing_tags,
    collect,
    cut_at,
    get_media_body,
    get_media_document,
    header,
    open_cluster,
    opening_tags,
    sdk_body,
    sdk_tag,
    sized_cluster,
)
from tests.mkv.test_damage import check_order, check_pieces

_ELEMENT_BYTES_MAX = 4096  # low, so that it is met
_CASE = 64  # inputs out of one state of chance: a finding is told by its seed and its number


def corpus() -> list[bytes]:
    """Small sound documents of every kind that we know."""
    block = MkvWriter().block(1, 0, True, b"key")
    xiph, ebml = _laced(2, b"\x01\x03abcde"), _laced(6, b"\x01\x83abcde")
    fixed = _laced(4, b"\x01abcdef")
    return [
        get_media_body(),
        sdk_body(),
        get_media_document(3, sized_cluster(7)),
        header() + opening_tags(1) + open_cluster() + closing_tags(1),
        header() + MkvWriter().cluster(0) + block,
        header() + aws_tags([("a", "b")]) + open_cluster() + sdk_tag("zone", "7"),
        header() + aws_tags([("AWS_KINESISVIDEO_ERROR_CODE", "4000")]),
        header() + MkvWriter().cluster(0) + xiph + ebml,
        header() + MkvWriter().cluster(0) + fixed + sized_cluster(5),
    ]


def _laced(flags: int, body: bytes) -> bytes:
    return MkvWriter().block(1, 0, False, body).replace(b"\x81\0\0\0", b"\x81\0\0" + bytes([flags]))


_DOCUMENTS = corpus()
_PLACES = [elements(document) for document in _DOCUMENTS]


def an_input(chance: Random) -> bytes:
    index = chance.randrange(len(_DOCUMENTS))
    document = _DOCUMENTS[index]
    match chance.randrange(8):
        case 0 | 1 | 2:
            return restructured(document, _PLACES[index], chance)
        case 3 | 4 | 5:
            return damaged(document, chance, chance.choice(_DOCUMENTS))
        case 6:
            return (header() if chance.random() < 0.5 else b"") + tree(chance)
        case _:
            return document[: chance.randrange(len(document))] + chance.randbytes(40)


def fuzz(seed: int, inputs: int, seconds: float) -> Tally:
    tally = Tally("parser", seed)
    deadline = time.monotonic() + seconds
    number = 0
    while tally.inputs < inputs and time.monotonic() < deadline:
        chance = Random(f"{seed}:{number}")
        for _ in range(min(_CASE, inputs - tally.inputs)):
            data = an_input(chance)
            try:
                with tally.timed():
                    error = check(data, chance)
            except Exception as failure:  # whatever it is, it is a finding
                tally.found(f"{type(failure).__name__}: {str(failure)[:200]}", data.hex())
                continue
            if error:
                tally.refuse("MkvError")
            else:
                tally.accepted += 1
        number += 1
    tally.measure_memory()
    return tally


def check(data: bytes, chance: Random) -> str:
    """The error that ends the input, or "". Raises AssertionError for a broken promise."""
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((1, 3, 20))))
    if chance.random() < 0.6:
        events, error = collect(_parser(), [data])
        check_order(events)
        _check_amount(events, data)
        assert collect(_parser(), cut_at(data, cuts)) == (events, error), "pieces differ"
    else:
        pieces, error = collect(_splitter(), [data])
        check_pieces(pieces)
        again, error_again = collect(_splitter(), cut_at(data, cuts))
        # How much is held at a time does depend on the cuts, and so which error comes first.
        if "element_bytes_max" not in error + error_again:
            assert error_again == error, "pieces end in another error"
        assert bool(error_again) == bool(error), "pieces are refused, or not, by their cuts"
        if not error:
            assert _joined(again) == _joined(pieces), "pieces differ"
        sizes = list(accumulate(len(_bytes_of(piece)) for piece in pieces))
        assert not sizes or sizes[-1] <= len(data) + 12, "more came out than went in"
    assert len(error) < 1000
    assert error.isprintable()
    return error


def _parser() -> FragmentParser:
    return FragmentParser(element_bytes_max=_ELEMENT_BYTES_MAX)


def _splitter() -> ProducerSplitter:
    return ProducerSplitter(element_bytes_max=_ELEMENT_BYTES_MAX)


def _check_amount(events: list[MediaEvent], data: bytes) -> None:
    payloads = [event.payload for event in events if isinstance(event, Packet)]
    assert sum(map(len, payloads)) <= len(data)
    assert len(events) <= len(data)


def _bytes_of(piece: Piece) -> bytes:
    return piece.data if isinstance(piece, Header | ClusterData | Trailing) else b""


def _joined(pieces: list[Piece]) -> tuple[bytes, list[BlockSeen], list[Any]]:
    """What does not depend on how the input was cut."""
    others = [piece for piece in pieces if not isinstance(piece, ClusterData | BlockSeen)]
    blocks = [piece for piece in pieces if isinstance(piece, BlockSeen)]
    return b"".join(map(_bytes_of, pieces)), blocks, others
