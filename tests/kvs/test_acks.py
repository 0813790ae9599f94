import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.kvs.acks import Ack, AckParser, PutMediaError

NUMBER = "91343852333201155253387957310212774485145176370"
WIRE = (
    f'{{"EventType":"BUFFERING","FragmentTimecode":1600994737365,"FragmentNumber":"{NUMBER}"}}\n'
    f'{{"EventType":"RECEIVED","FragmentTimecode":1600994737365,"FragmentNumber":"{NUMBER}"}}\r\n'
    '{"EventType":"IDLE"} {"EventType":"ERROR","FragmentTimecode":-1,"FragmentNumber":"",'
    '"ErrorId":4006,"ErrorCode":"INVALID_MKV_DATA"}'
).encode()
ACKS = [
    Ack("BUFFERING", 1600994737365, NUMBER),
    Ack("RECEIVED", 1600994737365, NUMBER),
    Ack("IDLE"),
    Ack("ERROR", -1, "", 4006, "INVALID_MKV_DATA"),
]


@given(st.lists(st.integers(0, len(WIRE)), max_size=20).map(sorted))
def test_any_split_gives_the_same_acknowledgements(cuts: list[int]) -> None:
    parser = AckParser()
    pieces = [WIRE[a:b] for a, b in zip([0, *cuts], [*cuts, len(WIRE)], strict=True)]
    assert [ack for piece in pieces for ack in parser.feed(piece)] == ACKS


def test_an_error_without_a_name_gets_the_documented_one() -> None:
    [ack] = AckParser().feed(b'{"EventType":"ERROR","ErrorId":4001}')
    assert ack.error_code == "MAX_FRAGMENT_SIZE_REACHED"


@pytest.mark.parametrize("answer", [b"<html>", b'{"EventType": ' + b"1" * 70_000])
def test_another_answer_is_shown(answer: bytes) -> None:
    with pytest.raises(PutMediaError, match="which is no acknowledgement") as caught:
        AckParser().feed(answer)
    assert answer[:10].decode() in str(caught.value)
