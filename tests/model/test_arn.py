"""Resource names, in and out."""

import pytest

from streamproc.model.arn import (
    Arn,
    collection_arn,
    data_stream_arn,
    stream_processor_arn,
    video_stream_arn,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("arn:aws:kinesisvideo:us-east-1:111122223333:stream/cam/1551924009774", "cam"),
        ("arn:aws:kinesisvideo:us-east-1:111122223333:stream/cam", "cam"),
        ("arn:aws-cn:kinesis:cn-north-1:111122223333:stream/faces", "faces"),
        ("arn:aws:rekognition:us-east-1:111122223333:collection/..", ".."),
        ("arn:aws:sns:us-east-1:111122223333:topic", "topic"),
    ],
)
def test_an_arn_reads_and_prints_the_same(text: str, name: str) -> None:
    assert str(Arn.parse(text)) == text
    assert Arn.parse(text).name == name


@pytest.mark.parametrize(
    "text", ["", "cam", "arn:aws:kinesis:us-east-1:1", "arn:aws:a:b:c:", "x:" * 6]
)
def test_what_is_no_arn_is_refused_by_its_value(text: str) -> None:
    with pytest.raises(ValueError, match="is not an ARN"):
        Arn.parse(text)


def test_our_own_arns_have_aws_s_form() -> None:
    at = ("eu-west-1", "111122223333")
    assert stream_processor_arn(*at, "p") == f"arn:aws:rekognition:{':'.join(at)}:streamprocessor/p"
    assert collection_arn(*at, "c") == f"arn:aws:rekognition:{':'.join(at)}:collection/c"
    assert data_stream_arn(*at, "d") == f"arn:aws:kinesis:{':'.join(at)}:stream/d"
    assert video_stream_arn(*at, "v", 7) == f"arn:aws:kinesisvideo:{':'.join(at)}:stream/v/7"
