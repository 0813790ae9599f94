"""What ListStreamprocProcessors tells of a processor; how it is listed, tests/cli shows."""

import pytest

from streamproc.api.own_model import OWN
from streamproc.api.own_processors import processor_members
from streamproc.model.processor import ProcessorSpec
from streamproc.processor.state import ProcessorState
from streamproc.processor.view import Counters, ProcessorView

SPEC = ProcessorSpec(
    region="us-east-1",
    name="door",
    video_stream_arn="arn:aws:kinesisvideo:us-east-1:000000000000:stream/front-door/1700000000000",
    data_stream_arn="arn:aws:kinesis:us-east-1:000000000000:stream/front-door-faces",
    collection_id="family",
    face_match_threshold=90.0,
    role_arn="arn:aws:iam::000000000000:role/any",
)
COUNTERS = Counters(
    frames_analysed_total=10, faces_total=7, matches_total=5, records_total=10,
    records_delivered_total=9, packets_passed_over_total=3, gaps_total=1, gap_s_total=2.5,
    fps=5.0, lag_s=0.2,
)  # fmt: skip


def test_every_member_of_the_model_is_told_of_one_that_runs() -> None:
    view = ProcessorView(SPEC, ProcessorState.RUNNING, "a camera is away", 1.0, 2.0, COUNTERS)
    told = processor_members(view)
    assert told.keys() == OWN["shapes"]["StreamprocProcessor"]["members"].keys()
    assert None not in told.values()
    assert (told["VideoStreamName"], told["DataStreamName"]) == ("front-door", "front-door-faces")
    assert (told["Records"], told["RecordsDelivered"], told["GapSeconds"]) == (10, 9, 2.5)


@pytest.mark.parametrize("state", set(ProcessorState) - {ProcessorState.RUNNING})
def test_one_that_rests_has_no_rate_and_no_lag(state: ProcessorState) -> None:
    told = processor_members(ProcessorView(SPEC, state, "", 1.0, 2.0, COUNTERS))
    assert told["FramesPerSecond"] is told["LagSeconds"] is told["StatusMessage"] is None
    assert told["Matches"] == 5  # of its last run
