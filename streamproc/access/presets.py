"""Policies for the keys that most people need, as documents to be used or edited.

Plain text in, plain text out: policy.py reads them like any other.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streamproc.errors import PolicyError

# What cannot be made good again, and is none of an operator's daily work.
_DESTROYING: Final = [
    "rekognition:DeleteCollection",
    "kinesis:DeleteStream",
    "kinesis:DecreaseStreamRetentionPeriod",
    "kinesisvideo:DeleteStream",
    "kinesisvideo:UpdateDataRetention",
]
_LOOKING: Final = [
    "rekognition:Describe*",
    "rekognition:Get*",
    "rekognition:List*",
    "kinesis:Describe*",
    "kinesis:List*",
    "kinesisvideo:Describe*",
    "kinesisvideo:List*",
]
_WATCHING: Final = [
    "rekognition:ListStreamprocEvents",
    "rekognition:GetStreamprocFacePicture",
    "rekognition:GetStreamprocView",
]
_SERVED: Final = ["rekognition:*", "kinesis:*", "kinesisvideo:*"]
_FULL: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    # Everything, and what later versions will serve.
    "admin": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    # Everything there is to do but destroying what others stored.
    "operator": [
        {
            "Effect": "Allow",
            "Action": [*_SERVED, "s3:GetObject", "s3:GetObjectVersion", "sns:Publish"],
            "Resource": "*",
        },
        {"Effect": "Deny", "Action": _DESTROYING, "Resource": "*"},
    ],
    # What exists, how it is and what jobs found. No media, no record, no picture, nor who came
    # and went; and whose a face is cannot be asked.
    "viewer": [
        {"Effect": "Allow", "Action": _LOOKING, "Resource": "*"},
        {"Effect": "Deny", "Action": _WATCHING, "Resource": "*"},
    ],
    # The same, and who came and went, with their pictures, and the live view: for whoever
    # watches the console and changes nothing.
    "watcher": [{"Effect": "Allow", "Action": _LOOKING, "Resource": "*"}],
}
# By preset: the service, its actions, and what stands behind a stream's name in its ARN.
_OF_STREAMS: Final = {
    "camera": (
        "kinesisvideo",
        ["kinesisvideo:PutMedia", "kinesisvideo:GetDataEndpoint", "kinesisvideo:DescribeStream"],
        "/*",
    ),
    "consumer": ("kinesis", ["kinesis:Get*", "kinesis:Describe*", "kinesis:List*"], ""),
}
PRESETS: Final = (*_FULL, *_OF_STREAMS)
"""Their names: admin, operator, viewer, watcher, camera, consumer."""

_STREAM_NAME: Final = re.compile(r"[a-zA-Z0-9_.*?-]{1,256}", re.ASCII)


def preset(name: str, resources: Sequence[str]) -> str:
    """The policy document of this preset.

    camera writes to the video streams named, consumer reads the data streams named, and
    resources names them: by name, with * and ? if need be, or by ARN. The others take no
    resources. Raises PolicyError if there is no such preset, or resources do not fit it.
    """
    if name in _FULL:
        if resources:
            raise PolicyError(
                f"preset {name} is for all resources; leave {', '.join(resources)} out, or write "
                "a policy of your own"
            )
        return _document(_FULL[name])
    if name not in _OF_STREAMS:
        raise PolicyError(f"there is no preset {name}; there are: {', '.join(PRESETS)}")
    if not resources:
        raise PolicyError(f"preset {name} needs the streams that it is for, by name or ARN")
    service, actions, behind = _OF_STREAMS[name]
    patterns = [_stream(resource, service, behind) for resource in resources]
    return _document([{"Effect": "Allow", "Action": actions, "Resource": patterns}])


def _stream(resource: str, service: str, behind: str) -> str:
    if resource.startswith(f"arn:aws:{service}:"):
        return resource
    if _STREAM_NAME.fullmatch(resource):
        return f"arn:aws:{service}:*:*:stream/{resource}{behind}"
    raise PolicyError(
        f"{resource!r} names no stream: give its name, or its ARN, which begins with "
        f"arn:aws:{service}:"
    )


def _document(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
