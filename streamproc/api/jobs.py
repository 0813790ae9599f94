"""Stored video: the twelve Start and Get operations, which differ in little more than names.

A job is checked here as far as the caller waits for it (members, object, size, collection,
topic); what it finds is jobs/' business.
"""

from dataclasses import dataclass
from typing import Any

from streamproc.api.auditing import audited_change
from streamproc.api.failures import service_errors
from streamproc.api.objects import object_errors, object_ref
from streamproc.api.paging import PAGE_DEFAULT, decode_token, encode_token
from streamproc.api.rights import search_right
from streamproc.api.service import ApiServices, rekognition
from streamproc.config import Config
from streamproc.errors import TokenMismatch, TooManyJobs, UnknownJob
from streamproc.gateway.dispatch import Handler, RequestContext
from streamproc.gateway.errors import (
    IdempotentParameterMismatch,
    InvalidParameter,
    LimitExceeded,
    ResourceNotFound,
    VideoTooLarge,
)
from streamproc.model.arn import Arn, collection_arn
from streamproc.model.job import Aggregation, JobKind, JobSpec, JobStatus, JobView
from streamproc.model.video import ObjectRef, VideoMetadata

_MIN_CONFIDENCE = 50.0  # Rekognition's default for labels and moderation
_VIDEO = "Request has invalid parameters. Video.S3Object"
_PAGE_MAX = 1000  # a larger MaxResults counts as this, as at Rekognition


@dataclass(frozen=True, slots=True)
class _Results:
    """How a Get operation shows what its jobs found."""

    member: str  # the list of the answer
    sort: str = ""  # the value of SortBy beside TIMESTAMP; "" where there is no SortBy
    version: str = ""  # the member with the model's version
    aggregates: bool = False


_RESULTS = {
    JobKind.FACE_DETECTION: _Results("Faces"),
    JobKind.FACE_SEARCH: _Results("Persons", sort="INDEX"),
    JobKind.PERSON_TRACKING: _Results("Persons", sort="INDEX"),
    JobKind.LABEL_DETECTION: _Results(
        "Labels", sort="NAME", version="LabelModelVersion", aggregates=True
    ),
    JobKind.CONTENT_MODERATION: _Results(
        "ModerationLabels", sort="NAME", version="ModerationModelVersion", aggregates=True
    ),
    JobKind.CELEBRITY_RECOGNITION: _Results("Celebrities", sort="ID"),
}


def _parameters(kind: JobKind, request: dict[str, Any], config: Config) -> dict[str, Any]:
    """The members that only this kind of job has, defaults filled in."""
    match kind:
        case JobKind.FACE_DETECTION:
            return {"FaceAttributes": request.get("FaceAttributes", "DEFAULT")}
        case JobKind.FACE_SEARCH:
            default = config.faces.search_threshold
            return {
                "CollectionId": request["CollectionId"],
                "FaceMatchThreshold": request.get("FaceMatchThreshold", default),
            }
        case JobKind.LABEL_DETECTION:
            return {
                "MinConfidence": request.get("MinConfidence", _MIN_CONFIDENCE),
                "Settings": request.get("Settings", {}),
            }
        case JobKind.CONTENT_MODERATION:
            return {"MinConfidence": request.get("MinConfidence", _MIN_CONFIDENCE)}
        case JobKind.PERSON_TRACKING | JobKind.CELEBRITY_RECOGNITION:
            return {}


def _start(kind: JobKind) -> Handler[ApiServices]:
    async def start(
        services: ApiServices, request: dict[str, Any], context: RequestContext
    ) -> dict[str, Any]:
        if kind is JobKind.CELEBRITY_RECOGNITION:
            await _require_search(services, context)
        token = request.get("ClientRequestToken")
        topic_arn, role_arn = _channel(services, request, context)
        spec = JobSpec(
            region=context.region,
            kind=kind,
            video=object_ref(_VIDEO, request["Video"].get("S3Object", {})),
            parameters=_parameters(kind, request, services.config),
            job_tag=request.get("JobTag", ""),
            topic_arn=topic_arn,
            role_arn=role_arn,
        )
        try:
            # A repeated call gets its job whatever has become of what it names since.
            known = await services.jobs.find(spec, token) if token is not None else None
            if known is None:
                await _check_collection(services, spec)
                await _check_video(services, spec)
                known = await _begin(services, context, spec, token)
        except TokenMismatch as error:
            raise IdempotentParameterMismatch(str(error)) from None
        except TooManyJobs as error:
            raise LimitExceeded(
                f"{error.open_count} open Jobs for User arn:aws:iam::{context.account_id}:root "
                f"Maximum limit: {error.open_max} (jobs.open_max). Try again when one has ended."
            ) from None
        return {"JobId": known}

    return start


async def _begin(
    services: ApiServices, context: RequestContext, spec: JobSpec, token: str | None
) -> str:
    if spec.kind not in (JobKind.FACE_SEARCH, JobKind.CELEBRITY_RECOGNITION):
        return await services.jobs.start(spec, token)
    asked = {name: spec.parameters[name] for name in ("CollectionId",) if name in spec.parameters}
    async with audited_change(services, context, **asked) as done:
        done["JobId"] = await services.jobs.start(spec, token)
    return str(done["JobId"])


def _get(kind: JobKind) -> Handler[ApiServices]:
    results = _RESULTS[kind]

    async def get(
        services: ApiServices, request: dict[str, Any], context: RequestContext
    ) -> dict[str, Any]:
        job_id = request["JobId"]
        try:
            job = await services.jobs.get(context.region, job_id, kind)
        except UnknownJob:
            raise ResourceNotFound(
                f"JobId {job_id} is no {kind} job of this region, or its results have expired. "
                "Give the JobId to the Get operation of the Start operation that returned it."
            ) from None
        sort = request.get("SortBy", "TIMESTAMP")
        aggregation = Aggregation(request.get("AggregateBy", Aggregation.TIMESTAMPS))
        limit = min(request.get("MaxResults", PAGE_DEFAULT), _PAGE_MAX)
        question = f"Get{kind} {job_id} {sort} {aggregation}"
        token = request.get("NextToken")
        offset = decode_token(question, token, int) if token is not None else 0
        found: list[dict[str, Any]] = []
        if job.status is JobStatus.SUCCEEDED:
            found = await services.jobs.page(
                job_id, aggregation, by_key=sort == results.sort, offset=offset, limit=limit + 1
            )
        answer = _described(job) | {
            results.member: found[:limit],
            "NextToken": encode_token(question, offset + limit) if len(found) > limit else None,
        }
        if results.version:
            answer[results.version] = job.model_version or None
        if results.aggregates:
            answer["GetRequestMetadata"] = {"SortBy": sort, "AggregateBy": aggregation.value}
        return answer

    return get


for _kind in JobKind:
    rekognition.operation(f"Start{_kind}")(_start(_kind))
    rekognition.operation(f"Get{_kind}")(_get(_kind))


def video_members(video: ObjectRef) -> dict[str, Any]:
    """The Video member, as the job was started with it."""
    members = {"Bucket": video.bucket, "Name": video.name, "Version": video.version or None}
    return {"S3Object": members}


def _channel(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> tuple[str, str]:
    """(topic, role), both "" where nobody wants to be told."""
    channel = request.get("NotificationChannel")
    if channel is None:
        return "", ""
    topic_arn = channel["SNSTopicArn"]
    member = "Request has invalid parameters. NotificationChannel.SNSTopicArn"
    if services.config.endpoints.sns == "off":
        raise InvalidParameter(
            f"{member} {topic_arn} cannot be told: no SNS is configured. Set endpoints.sns to "
            "aws or to the URL of an SNS endpoint, or leave NotificationChannel out."
        )
    region = Arn.parse(topic_arn).region
    if region != context.region:
        raise InvalidParameter(
            f"{member} {topic_arn} is in region {region or '(none)'}; a topic has to be in the "
            f"region of the job, {context.region}"
        )
    return topic_arn, channel["RoleArn"]


async def _require_search(services: ApiServices, context: RequestContext) -> None:
    """Celebrities are looked for in every collection that has people; a refusal does not say
    which these are. Raises AccessDenied."""
    told = collection_arn(context.region, context.account_id, "*")
    for collection in await services.collections.collections_with_people(context.region):
        context.require(search_right(collection.arn, told=told))


async def _check_collection(services: ApiServices, spec: JobSpec) -> None:
    if spec.kind is JobKind.FACE_SEARCH:
        with service_errors():
            await services.collections.describe(spec.region, spec.parameters["CollectionId"])


async def _check_video(services: ApiServices, spec: JobSpec) -> None:
    with object_errors("Video.S3Object"):
        described = await services.objects.describe(spec.video, spec.region)
    limit = services.config.jobs.video_bytes_max
    if described.size_bytes > limit:
        raise VideoTooLarge(
            f"Video size in bytes: {described.size_bytes} is more than the maximum limit of: "
            f"{limit} bytes (jobs.video_bytes_max)."
        )


def _described(job: JobView) -> dict[str, Any]:
    return {
        "JobId": job.id,
        "JobStatus": job.status.value,
        "StatusMessage": job.message or None,
        "Video": video_members(job.spec.video),
        "JobTag": job.spec.job_tag or None,
        "VideoMetadata": None if job.metadata is None else _metadata(job.metadata),
    }


def _metadata(metadata: VideoMetadata) -> dict[str, Any]:
    return {
        "Codec": metadata.codec,
        "DurationMillis": metadata.duration_ms,
        "Format": metadata.format,
        "FrameRate": metadata.frame_rate,
        "FrameHeight": metadata.frame_height,
        "FrameWidth": metadata.frame_width,
        "ColorRange": metadata.color_range or None,
    }
