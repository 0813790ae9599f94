"""The three AWS services of Kinesis Video, as botocore models them, with PutMedia added.

The operations register themselves in control_operations.py, put_media.py, get_media.py and
archive_operations.py; how a request names a stream, and pages, is the same for all and is here.
"""

import base64
import binascii
import json
from typing import Any, Final

from streamproc.gateway.dispatch import RequestContext, Service
from streamproc.gateway.errors import InvalidArgument, ResourceNotFound
from streamproc.local.kinesis_video.rights import rights
from streamproc.local.kinesis_video.stream import VideoStream
from streamproc.local.kinesis_video.streams import VideoStreams
from streamproc.model.arn import Arn

# botocore has no PutMedia. Headers: the PutMedia reference and the producer SDK's source.
_PUT_MEDIA: Final[dict[str, dict[str, Any]]] = {
    "operations": {
        "PutMedia": {
            "name": "PutMedia",
            "http": {"method": "POST", "requestUri": "/putMedia"},
            "input": {"shape": "PutMediaInput"},
            "output": {"shape": "PutMediaOutput"},
            "errors": [
                {"shape": "ResourceNotFoundException"},
                {"shape": "NotAuthorizedException"},
                {"shape": "InvalidEndpointException"},
                {"shape": "InvalidArgumentException"},
                {"shape": "ClientLimitExceededException"},
                {"shape": "ConnectionLimitExceededException"},
            ],
        }
    },
    "shapes": {
        "PutMediaInput": {
            "type": "structure",
            "required": ["FragmentTimecodeType", "Payload"],
            "members": {
                "StreamName": {
                    "shape": "StreamName",
                    "location": "header",
                    "locationName": "x-amzn-stream-name",
                },
                "StreamARN": {
                    "shape": "ResourceARN",
                    "location": "header",
                    "locationName": "x-amzn-stream-arn",
                },
                "FragmentTimecodeType": {
                    "shape": "FragmentTimecodeType",
                    "location": "header",
                    "locationName": "x-amzn-fragment-timecode-type",
                },
                "ProducerStartTimestamp": {
                    "shape": "Timestamp",
                    "location": "header",
                    "locationName": "x-amzn-producer-start-timestamp",
                    "timestampFormat": "unixTimestamp",
                },
                "FragmentAcknowledgmentRequired": {
                    "shape": "FragmentAcknowledgmentRequired",
                    "location": "header",
                    "locationName": "x-amzn-fragment-acknowledgment-required",
                },
                "Payload": {"shape": "Payload"},
            },
            "payload": "Payload",
        },
        "FragmentTimecodeType": {"type": "string", "enum": ["ABSOLUTE", "RELATIVE"]},
        "FragmentAcknowledgmentRequired": {"type": "string"},
        "PutMediaOutput": {
            "type": "structure",
            "members": {
                "ContentType": {
                    "shape": "ContentType",
                    "location": "header",
                    "locationName": "Content-Type",
                },
                "Payload": {"shape": "Payload"},
            },
            "payload": "Payload",
        },
    },
}
# What the service really answers to whoever may not, in all its parts and with this status; the
# models know NotAuthorizedException (401), or this with 401.
_DENIED: Final = {
    "AccessDeniedException": {
        "type": "structure",
        "members": {"Message": {"shape": "ErrorMessage"}},
        "error": {"httpStatusCode": 403},
        "exception": True,
    }
}
_INVALID: Final = "InvalidArgumentException"

control = Service[VideoStreams](
    "kinesisvideo", validation_error=_INVALID, rights=rights, extra={"shapes": _DENIED}
)
media = Service[VideoStreams](
    "kinesis-video-media",
    validation_error=_INVALID,
    rights=rights,
    extra={**_PUT_MEDIA, "shapes": {**_PUT_MEDIA["shapes"], **_DENIED}},
)
archived = Service[VideoStreams](
    "kinesis-video-archived-media",
    validation_error=_INVALID,
    rights=rights,
    extra={"shapes": _DENIED},
)


def find_stream(
    streams: VideoStreams, request: dict[str, Any], context: RequestContext
) -> VideoStream:
    """The stream that a request names. An ARN names it for good: one of another account or
    region, or of a stream that was deleted and made anew, finds nothing."""
    arn, name = request.get("StreamARN"), request.get("StreamName")
    if arn is not None:
        parsed = Arn.parse(arn)
        stream = streams.find(parsed.region, parsed.name)
        if stream is None or streams.arn(stream.info) != arn or parsed.region != context.region:
            raise ResourceNotFound(f"The stream {arn} does not exist in {context.region}.")
        return stream
    if name is None:
        raise InvalidArgument("Neither StreamName nor StreamARN is given; one of them is needed.")
    stream = streams.find(context.region, name)
    if stream is None:
        raise ResourceNotFound(f"The stream {name} does not exist in {context.region}.")
    return stream


def encode_token(state: dict[str, Any]) -> str:
    """An opaque NextToken, of the characters that the models allow."""
    return base64.b64encode(json.dumps(state, separators=(",", ":")).encode()).decode()


def decode_token(token: str, shape: dict[str, type]) -> dict[str, Any]:
    """Raises InvalidArgument if it is no token of ours with members of this shape."""
    try:
        state = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        state = None
    if (
        not isinstance(state, dict)
        or {key: type(value) for key, value in state.items()} != shape
        or not all(map(_is_storable, state.values()))
    ):
        raise InvalidArgument(f"NextToken {token!r} is not one that this operation returned.")
    return state


def _is_storable(value: str | int) -> bool:
    """Whether a database takes it: anybody can make up a token."""
    return value.isascii() if isinstance(value, str) else abs(value) < 1 << 63
