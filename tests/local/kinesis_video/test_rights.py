"""What each operation of Kinesis Video asks for, by a stream's name or its ARN."""

from typing import Any

import pytest

from streamproc.gateway.dispatch import RequestContext
from streamproc.local.kinesis_video import archived, control, media
from streamproc.local.kinesis_video.rights import RIGHTS, rights
from streamproc.model.caller import Right
from tests.local.kinesis_video.support import ACCOUNT, REGION, VideoService

SERVED = control.operations | media.operations | archived.operations
NAMING = sorted(SERVED - {"CreateStream", "ListStreams"})
ANY_CAM = f"arn:aws:kinesisvideo:{REGION}:{ACCOUNT}:stream/cam/*"


def needed(video: VideoService, operation: str, request: dict[str, Any]) -> list[Right]:
    context = RequestContext(
        service="kinesisvideo",
        operation=operation,
        region=REGION,
        account_id=ACCOUNT,
        request_id="",
    )
    return list(rights(video.streams, operation, request, context))


def test_every_operation_that_is_served_stands_in_the_table() -> None:
    assert set(RIGHTS) == SERVED
    count = sum(len(service.operations) for service in (control, media, archived))
    assert len(SERVED) == count, "no two services share the name of an operation"


async def test_a_name_asks_for_the_right_on_the_stream_of_now(video: VideoService) -> None:
    stream = await video.streams.create(REGION, "cam", 0, {})
    arn = video.streams.arn(stream.info)
    for operation in NAMING:
        action = f"kinesisvideo:{operation}"
        by_name = needed(video, operation, {"StreamName": "cam"})
        assert by_name == [Right(action, arn, told=ANY_CAM)]
        assert needed(video, operation, {"StreamARN": arn}) == [Right(action, arn)]
        assert needed(video, operation, {"StreamARN": arn, "StreamName": "cam"}) == [
            Right(action, arn),
            Right(action, arn, told=ANY_CAM),
        ]


async def test_a_name_without_a_stream_asks_for_all_of_its_name(video: VideoService) -> None:
    for operation in NAMING:
        [right] = needed(video, operation, {"StreamName": "cam"})
        assert (right.resource, right.told or right.resource) == (ANY_CAM, ANY_CAM)


async def test_what_is_told_is_the_same_whether_the_stream_exists_or_not(
    video: VideoService,
) -> None:
    [before] = needed(video, "GetMedia", {"StreamName": "cam"})
    await video.streams.create(REGION, "cam", 0, {})
    [after] = needed(video, "GetMedia", {"StreamName": "cam"})
    assert (before.told or before.resource) == (after.told or after.resource)


async def test_a_request_that_names_no_stream_needs_all(video: VideoService) -> None:
    for operation in [*NAMING, "ListStreams"]:
        assert needed(video, operation, {}) == [Right(f"kinesisvideo:{operation}", "*")]


@pytest.mark.parametrize("tags", [{}, {"site": "north"}])
async def test_creating_needs_the_right_on_all_of_the_name(
    video: VideoService, tags: dict[str, str]
) -> None:
    await video.streams.create(REGION, "cam", 0, {})
    expected = [Right("kinesisvideo:CreateStream", ANY_CAM)]
    if tags:
        expected += [Right("kinesisvideo:TagStream", ANY_CAM)]
    assert needed(video, "CreateStream", {"StreamName": "cam", "Tags": tags}) == expected
