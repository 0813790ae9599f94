"""The operations that Rekognition does not have and our command line needs.

In the language of botocore's models, to be merged into its Rekognition: shapes that are not
declared here are Rekognition's own. Names carry Streamproc, so that AWS will not take them.
"""

from typing import Any, Final

_LISTING_ERRORS: Final = [
    {"shape": "AccessDeniedException"},
    {"shape": "InvalidParameterException"},
    {"shape": "InvalidPaginationTokenException"},
    {"shape": "InternalServerError"},
]
_COLLECTION_ERRORS: Final = [
    {"shape": "AccessDeniedException"},
    {"shape": "InvalidParameterException"},
    {"shape": "ResourceNotFoundException"},
    {"shape": "InternalServerError"},
]


def _operation(name: str, errors: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "name": name,
        "http": {"method": "POST", "requestUri": "/"},
        "input": {"shape": f"{name}Request"},
        "output": {"shape": f"{name}Response"},
        "errors": errors,
    }


def _structure(required: tuple[str, ...] = (), /, **members: str) -> dict[str, Any]:
    """A structure of members, each with the name of its shape."""
    return {
        "type": "structure",
        "required": list(required),
        "members": {name: {"shape": shape} for name, shape in members.items()},
    }


OWN: Final[dict[str, Any]] = {
    "operations": {
        "PutStreamprocPeople": _operation("PutStreamprocPeople", _COLLECTION_ERRORS),
        "ListStreamprocPeople": _operation("ListStreamprocPeople", _COLLECTION_ERRORS),
        "ListStreamprocJobs": _operation("ListStreamprocJobs", _LISTING_ERRORS),
        "ListStreamprocProcessors": _operation("ListStreamprocProcessors", _LISTING_ERRORS),
        "ListStreamprocEvents": _operation("ListStreamprocEvents", _LISTING_ERRORS),
        "ListStreamprocCameras": _operation("ListStreamprocCameras", _LISTING_ERRORS),
        "GetStreamprocFacePicture": _operation("GetStreamprocFacePicture", _COLLECTION_ERRORS),
        "DescribeStreamproc": _operation("DescribeStreamproc", _LISTING_ERRORS),
    },
    "shapes": {
        "PutStreamprocPeopleRequest": _structure(
            ("CollectionId", "People"), CollectionId="CollectionId", People="StreamprocPeople"
        ),
        "PutStreamprocPeopleResponse": _structure(),
        "ListStreamprocPeopleRequest": _structure(("CollectionId",), CollectionId="CollectionId"),
        "ListStreamprocPeopleResponse": _structure(People="StreamprocPeople"),
        "StreamprocPeople": {
            "type": "list",
            "member": {"shape": "StreamprocPerson"},
            "max": 100_000,
        },
        "StreamprocPerson": _structure(
            ("Id", "Name"),
            Id="StreamprocPersonId",
            Name="StreamprocPersonName",
            Urls="Urls",
            KnownGender="KnownGender",
        ),
        "StreamprocPersonId": {
            "type": "string",
            "min": 1,
            "max": 64,
            "pattern": "^[0-9A-Za-z]+$",
        },
        "StreamprocPersonName": {"type": "string", "min": 1, "max": 255},
        "ListStreamprocJobsRequest": _structure(
            MaxResults="MaxResults", NextToken="PaginationToken"
        ),
        "ListStreamprocJobsResponse": _structure(
            Jobs="StreamprocJobs", NextToken="PaginationToken"
        ),
        "StreamprocJobs": {"type": "list", "member": {"shape": "StreamprocJob"}},
        "StreamprocJob": _structure(
            JobId="JobId",
            API="String",
            JobStatus="VideoJobStatus",
            StatusMessage="StatusMessage",
            Progress="Float",
            JobTag="JobTag",
            Video="Video",
            CreationTimestamp="DateTime",
            CompletionTimestamp="DateTime",
        ),
        "ListStreamprocProcessorsRequest": _structure(
            MaxResults="MaxResults", NextToken="PaginationToken"
        ),
        "ListStreamprocProcessorsResponse": _structure(
            Processors="StreamprocProcessors", NextToken="PaginationToken"
        ),
        "StreamprocProcessors": {"type": "list", "member": {"shape": "StreamprocProcessor"}},
        "StreamprocProcessor": _structure(
            Name="StreamProcessorName",
            Status="StreamProcessorStatus",
            StatusMessage="String",
            VideoStreamName="String",
            DataStreamName="String",
            CollectionId="CollectionId",
            FaceMatchThreshold="Float",
            FramesPerSecond="Float",
            LagSeconds="Float",
            FramesAnalysed="ULong",
            PacketsPassedOver="ULong",
            Faces="ULong",
            Matches="ULong",
            Records="ULong",
            RecordsDelivered="ULong",
            Gaps="ULong",
            GapSeconds="Float",
            CreationTimestamp="DateTime",
            LastUpdateTimestamp="DateTime",
        ),
        "ListStreamprocEventsRequest": _structure(
            After="ULong",
            Before="ULong",
            MaxResults="StreamprocEventsMax",
            WaitSeconds="StreamprocWaitSeconds",
            Name="StreamProcessorName",
        ),
        "ListStreamprocEventsResponse": _structure(Events="StreamprocEvents", NewestId="ULong"),
        "StreamprocEventsMax": {"type": "integer", "min": 1, "max": 1000},
        "StreamprocWaitSeconds": {"type": "integer", "min": 0, "max": 20},
        "StreamprocEvents": {"type": "list", "member": {"shape": "StreamprocEvent"}},
        # Times are text here, as everywhere that an event is told (model/event.py).
        "StreamprocEvent": _structure(
            Id="ULong",
            Event="String",
            At="String",
            Region="String",
            Processor="String",
            VisitId="String",
            Person="StreamprocVisitor",
            BoundingBox="BoundingBox",
            FirstSeen="String",
            LastSeen="String",
            Frames="ULong",
            Change="String",
            WasName="String",
            Reason="String",
            MergedInto="String",
            DurationSeconds="Float",
            Status="String",
            PreviousStatus="String",
            StatusMessage="String",
        ),
        "StreamprocVisitor": _structure(
            Name="String",
            Known="Boolean",
            CollectionId="String",
            FaceId="String",
            ExternalImageId="String",
            Similarity="Float",
        ),
        "GetStreamprocFacePictureRequest": _structure(("VisitId",), VisitId="StreamprocVisitId"),
        "GetStreamprocFacePictureResponse": _structure(Picture="ImageBlob"),
        "StreamprocVisitId": {
            "type": "string",
            "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        },
        "ListStreamprocCamerasRequest": _structure(),
        "ListStreamprocCamerasResponse": _structure(Cameras="StreamprocCameras"),
        "StreamprocCameras": {"type": "list", "member": {"shape": "StreamprocCamera"}},
        "StreamprocCamera": _structure(
            Name="String",
            Url="String",
            StreamName="String",
            ProcessorName="String",
            Status="String",
            StatusMessage="String",
            Codec="String",
            Width="UInteger",
            Height="UInteger",
            FramesPerSecond="Float",
            BytesPerSecond="Float",
            Bytes="ULong",
            Fragments="ULong",
            Reconnects="ULong",
            PacketsDropped="ULong",
            Transcoding="Boolean",
            LastFragmentTimestamp="DateTime",
        ),
        "DescribeStreamprocRequest": _structure(),
        "DescribeStreamprocResponse": _structure(
            Version="String",
            Ready="Boolean",
            UptimeSeconds="Float",
            EngineName="String",
            PackName="String",
            Licence="String",
            Providers="StreamprocNames",
            Models="StreamprocModels",
            Checks="StreamprocChecks",
            DataFolderBytesFree="ULong",
            FacePicturesKeptHours="Float",
        ),
        "StreamprocNames": {"type": "list", "member": {"shape": "String"}},
        "StreamprocModels": {"type": "list", "member": {"shape": "StreamprocModel"}},
        "StreamprocModel": _structure(
            Name="String", Purpose="String", Licence="String", Installed="Boolean"
        ),
        "StreamprocChecks": {"type": "list", "member": {"shape": "StreamprocCheck"}},
        "StreamprocCheck": _structure(Name="String", Ok="Boolean", Message="String"),
    },
}
"""What Service(extra=…) takes."""
