"""What a topic is told of a job that has ended. Pure.

Members, their names and their order are those of Amazon Rekognition Video: "Calling Amazon
Rekognition Video operations" in its developer guide. Most consumers are small functions that
parse exactly this.
"""

import json

from streamproc.model.job import JobSpec, JobStatus


def completion_message(job_id: str, spec: JobSpec, status: JobStatus, timestamp_ms: int) -> str:
    """JSON. timestamp_ms is when the job ended, in milliseconds since the epoch."""
    message = {
        "JobId": job_id,
        "Status": status.value,
        "API": f"Start{spec.kind.value}",
        **({"JobTag": spec.job_tag} if spec.job_tag else {}),
        "Timestamp": timestamp_ms,
        "Video": {"S3ObjectName": spec.video.name, "S3Bucket": spec.video.bucket},
    }
    return json.dumps(message, separators=(",", ":"))
