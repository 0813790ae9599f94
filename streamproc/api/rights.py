"""What each Rekognition operation needs to be allowed. One table; nothing is allowed by default.

Actions and resource types are those of the Service Authorization Reference for Amazon
Rekognition. Where AWS is silent or coarser:

- CreateCollection has no resource type at AWS, CreateStreamProcessor only the collection. Here
  the collection, and the processor too, are what is asked for; Resource * covers both.
- A processor reads and writes with the daemon's own credentials (aws.role = ignore), where AWS
  uses its role. So whoever creates one must themselves be allowed what it will do: read its
  video stream, write to its data stream, search its collection. Starting and stopping it then
  needs rights on the processor alone, and so does UpdateStreamProcessor, which changes nothing.
- Objects in buckets, folders too, are read for whoever may s3:GetObject them, and topics told
  for whoever may sns:Publish to them. iam:PassRole is asked for where roles are really assumed
  (aws.role = assume).
- Operations on a JobId, and those that list, have no resource, as at AWS: all or nothing.
- Celebrities are a registry of the whole region. StartCelebrityRecognition therefore asks for
  rekognition:SearchFaces on every collection that has people, which jobs.py sees to because
  only the database knows them; GetCelebrityInfo is all or nothing, as at AWS.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from streamproc.config import Config
from streamproc.gateway.dispatch import RequestContext
from streamproc.model.arn import collection_arn, stream_processor_arn
from streamproc.model.caller import Right
from streamproc.model.job import JobKind


class _Configured(Protocol):
    @property
    def config(self) -> Config: ...


_Request: TypeAlias = Mapping[str, Any]
_Resources: TypeAlias = Callable[[_Request, RequestContext], list[str]]


def rights(
    services: _Configured, operation: str, request: _Request, context: RequestContext
) -> Sequence[Right]:
    """What the caller of an operation needs: the operation on its own resources, and all that
    it has done in the caller's name."""
    assumes_roles = services.config.aws.role == "assume"
    action = f"rekognition:{operation}"
    own = RESOURCES[operation](request, context)
    needed = [Right(action, resource) for resource in own]
    if operation.startswith("Create") and request.get("Tags"):
        needed += [Right("rekognition:TagResource", _created(operation, request, context))]
    if operation == "CreateStreamProcessor":
        needed += _of_processor(request, context, assumes_roles=assumes_roles)
    needed += _of_objects(request)
    needed += _of_channel(request, assumes_roles=assumes_roles)
    return needed


def search_right(collection: str, *, told: str = "") -> Right:
    """The right to search the faces of a collection, named by its ARN."""
    return Right("rekognition:SearchFaces", collection, told)


def _of_processor(
    request: _Request, context: RequestContext, *, assumes_roles: bool
) -> list[Right]:
    """What a processor does for whoever creates it. A stream that is not named is refused by
    the operation itself."""
    needed = [search_right(arn) for arn in _searched(request, context)]
    video = request["Input"].get("KinesisVideoStream", {}).get("Arn")
    if video is not None:
        needed += [Right("kinesisvideo:GetMedia", video)]
    data = request["Output"].get("KinesisDataStream", {}).get("Arn")
    if data is not None:
        needed += [Right("kinesis:PutRecords", data)]
    if assumes_roles:
        needed += [Right("iam:PassRole", request["RoleArn"])]
    return needed


def _of_objects(request: _Request) -> list[Right]:
    """The right to read each object that the request names."""
    objects = [
        request.get(member, {}).get("S3Object", {})
        for member in ("Image", "SourceImage", "TargetImage", "Video")
    ]
    return [
        Right(
            "s3:GetObjectVersion" if "Version" in named else "s3:GetObject",
            f"arn:aws:s3:::{named['Bucket']}/{named['Name']}",
        )
        for named in objects
        if "Bucket" in named and "Name" in named  # else there is nothing to read
    ]


def _of_channel(request: _Request, *, assumes_roles: bool) -> list[Right]:
    channel = request.get("NotificationChannel")
    if channel is None:
        return []
    needed = [Right("sns:Publish", channel["SNSTopicArn"])]
    if assumes_roles and "RoleArn" in channel:
        needed += [Right("iam:PassRole", channel["RoleArn"])]
    return needed


def _all(_request: _Request, _context: RequestContext) -> list[str]:
    return ["*"]


def _collection(request: _Request, context: RequestContext) -> list[str]:
    return [collection_arn(context.region, context.account_id, request["CollectionId"])]


def _processor(request: _Request, context: RequestContext) -> list[str]:
    return [stream_processor_arn(context.region, context.account_id, request["Name"])]


def _processor_or_all(request: _Request, context: RequestContext) -> list[str]:
    return _processor(request, context) if "Name" in request else ["*"]


def _searched(request: _Request, context: RequestContext) -> list[str]:
    """The collection of a processor that is to be."""
    collection_id = request["Settings"].get("FaceSearch", {}).get("CollectionId")
    if collection_id is None:
        return []
    return [collection_arn(context.region, context.account_id, collection_id)]


def _processor_and_collection(request: _Request, context: RequestContext) -> list[str]:
    return _processor(request, context) + _searched(request, context)


def _tagged(request: _Request, _context: RequestContext) -> list[str]:
    text: str = request["ResourceArn"]
    # As tags.py has it: CreateCollection's own answer leaves the first part out.
    return [f"arn:{text}" if text.startswith("aws:") else text]


def _created(operation: str, request: _Request, context: RequestContext) -> str:
    of = _collection if operation == "CreateCollection" else _processor
    return of(request, context)[0]


RESOURCES: Final[Mapping[str, _Resources]] = {
    "CompareFaces": _all,
    "CreateCollection": _collection,
    "CreateStreamProcessor": _processor_and_collection,
    "DeleteCollection": _collection,
    "DeleteFaces": _collection,
    "DeleteStreamProcessor": _processor,
    "DescribeCollection": _collection,
    "DescribeStreamProcessor": _processor,
    "DetectFaces": _all,
    "GetCelebrityInfo": _all,
    "IndexFaces": _collection,
    "ListCollections": _all,
    "ListFaces": _collection,
    "ListStreamProcessors": _all,
    "DescribeStreamproc": _all,
    "GetStreamprocFacePicture": _all,
    "ListStreamprocCameras": _all,
    "ListStreamprocEvents": _processor_or_all,
    "ListStreamprocJobs": _all,
    "ListStreamprocProcessors": _all,
    "ListStreamprocPeople": _collection,
    "ListTagsForResource": _tagged,
    "PutStreamprocPeople": _collection,
    "SearchFaces": _collection,
    "SearchFacesByImage": _collection,
    "StartStreamProcessor": _processor,
    "StopStreamProcessor": _processor,
    "TagResource": _tagged,
    "UntagResource": _tagged,
    "UpdateStreamProcessor": _processor,
    **{f"Get{kind}": _all for kind in JobKind},
    **{f"Start{kind}": _all for kind in JobKind},
    f"Start{JobKind.FACE_SEARCH}": _collection,
}
"""By operation, the resources that its own action is asked for on."""
