"""Every stream processor with its figures: an operation of our own, for who looks at many at once.

Rekognition's list names them and their status, no more. The model is in own_model.py.
"""

from typing import Any

from streamproc.api.paging import PAGE_DEFAULT, decode_token, encode_token
from streamproc.api.service import ApiServices, rekognition
from streamproc.gateway.dispatch import RequestContext
from streamproc.processor.state import ProcessorState
from streamproc.processor.view import ProcessorView

_KIND = "ListStreamprocProcessors"


@rekognition.operation(_KIND)
async def list_streamproc_processors(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    kind = f"{_KIND} {context.region}"
    token = request.get("NextToken")
    after = None if token is None else decode_token(kind, token, str)
    limit = request.get("MaxResults") or PAGE_DEFAULT
    found = services.supervisor.list(context.region, after, limit + 1)
    page = found[:limit]
    return {
        "Processors": [processor_members(view) for view in page],
        "NextToken": encode_token(kind, page[-1].spec.name) if len(found) > limit else None,
    }


def processor_members(view: ProcessorView) -> dict[str, Any]:
    """A processor as this operation lists it: figures are those of its last run, from Start on.

    FramesPerSecond (of media, analysed at present) and LagSeconds (age of the frame sampled
    last) are there only while it runs: of one that rests they would tell nothing.
    """
    spec, counters = view.spec, view.counters
    runs = view.state is ProcessorState.RUNNING
    return {
        "Name": spec.name,
        "Status": view.state.value,
        "StatusMessage": view.message or None,
        "VideoStreamName": spec.video_stream.name,
        "DataStreamName": spec.data_stream.name,
        "CollectionId": spec.collection_id,
        "FaceMatchThreshold": spec.face_match_threshold,
        "FramesPerSecond": counters.fps if runs else None,
        "LagSeconds": counters.lag_s if runs else None,
        "FramesAnalysed": counters.frames_analysed_total,
        "PacketsPassedOver": counters.packets_passed_over_total,
        "Faces": counters.faces_total,
        "Matches": counters.matches_total,
        "Records": counters.records_total,
        "RecordsDelivered": counters.records_delivered_total,
        "Gaps": counters.gaps_total,
        "GapSeconds": counters.gap_s_total,
        "CreationTimestamp": view.created_at,
        "LastUpdateTimestamp": view.updated_at,
    }
