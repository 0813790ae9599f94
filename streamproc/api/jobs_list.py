"""Every stored-video job and how far it is: an operation of our own, for `streamproc jobs`.

Rekognition has none that lists jobs or tells progress. Its model is in own_model.py.
"""

from typing import Any

from streamproc.api.jobs import video_members
from streamproc.api.paging import PAGE_DEFAULT, decode_token, encode_token
from streamproc.api.service import ApiServices, rekognition
from streamproc.gateway.dispatch import RequestContext
from streamproc.model.job import JobView

_KIND = "ListStreamprocJobs"


@rekognition.operation(_KIND)
async def list_streamproc_jobs(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    token = request.get("NextToken")
    after = tuple(decode_token(_KIND, token, float, str)) if token is not None else None
    limit = min(request.get("MaxResults", PAGE_DEFAULT), PAGE_DEFAULT)
    found = await services.jobs.list_jobs(context.region, after, limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return {
        "Jobs": [_listed(job) for job in page],
        "NextToken": encode_token(_KIND, (page[-1].created_at, page[-1].id)) if more else None,
    }


def _listed(job: JobView) -> dict[str, Any]:
    return {
        "JobId": job.id,
        "API": f"Start{job.spec.kind}",
        "JobStatus": job.status.value,
        "StatusMessage": job.message or None,
        "Progress": job.progress,
        "JobTag": job.spec.job_tag or None,
        "Video": video_members(job.spec.video),
        "CreationTimestamp": job.created_at,
        "CompletionTimestamp": job.finished_at,
    }
