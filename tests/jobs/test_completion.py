"""What consumers of the topic parse."""

from dataclasses import replace

import pytest

from streamproc.jobs.completion import completion_message
from streamproc.model.job import JobKind, JobSpec, JobStatus


def test_the_message_is_as_documented_to_the_letter(job_spec: JobSpec) -> None:
    message = completion_message("ab" * 32, job_spec, JobStatus.SUCCEEDED, 1526585602044)
    assert message == (
        '{"JobId":"' + "ab" * 32 + '","Status":"SUCCEEDED","API":"StartFaceDetection",'
        '"JobTag":"door","Timestamp":1526585602044,'
        '"Video":{"S3ObjectName":"clip.mp4","S3Bucket":"clips"}}'
    )


def test_without_a_tag_there_is_no_member_for_it(job_spec: JobSpec) -> None:
    message = completion_message("id", replace(job_spec, job_tag=""), JobStatus.FAILED, 1)
    assert "JobTag" not in message
    assert '"Status":"FAILED"' in message


@pytest.mark.parametrize("kind", JobKind)
def test_the_api_is_the_start_operation(job_spec: JobSpec, kind: JobKind) -> None:
    message = completion_message("id", replace(job_spec, kind=kind), JobStatus.SUCCEEDED, 1)
    assert f'"API":"Start{kind.value}"' in message
