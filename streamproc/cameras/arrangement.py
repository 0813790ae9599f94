"""A camera's processor: made if there is none, started once, and then a person's own affair.

What somebody stopped stays stopped, what somebody made otherwise is left as it is and told.
Knows what a processor has to be like; knows nothing of how a camera is read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from streamproc.cameras.ports import World
from streamproc.cameras.view import Camera
from streamproc.model.processor import ProcessorSpec

COLLECTION_POLL_S: Final = 5.0


async def arrange(
    camera: Camera,
    world: World,
    tell: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return once there is nothing more to do for the camera's processor.

    tell is given what a person should know meanwhile, and afterwards; "" for nothing. Raises what
    World raises; nothing is lost by trying again.
    """
    key = (camera.region, camera.name)
    video_arn = await world.video_stream(camera)
    if world.processor(key) is None:
        data_arn = await world.data_stream(camera)
        await world.create_processor(
            ProcessorSpec(
                region=camera.region,
                name=camera.name,
                video_stream_arn=video_arn,
                data_stream_arn=data_arn,
                collection_id=camera.collection,
                face_match_threshold=camera.face_match_threshold,
                role_arn=world.role_arn(camera),
            )
        )
    may_start = False
    # Looked at again before every step: a person may have been faster meanwhile.
    while (existing := world.processor(key)) is not None:
        if note := disagreement(camera, world):
            tell(note)
            return
        if existing.was_started:
            break
        if may_start:
            await world.start_processor(key)
            break
        may_start = await world.has_collection(camera)
        if not may_start:
            tell(
                f"Processor {camera.name} starts as soon as there is a collection "
                f"{camera.collection}; make it with: streamproc collections create "
                f"{camera.collection}"
            )
            await sleep(COLLECTION_POLL_S)
    tell("")


def disagreement(camera: Camera, world: World) -> str:
    """What a person should know of a processor that is not what the camera asks for; "" for
    nothing. Asks nobody far away."""
    existing = world.processor((camera.region, camera.name))
    if existing is None:
        return ""
    differing = ", ".join(differences(existing.spec, camera, world.video_arn(camera)))
    if not differing:
        return ""
    return (
        f"Processor {camera.name} is left as it is, which is not as [cameras.{camera.name}] says: "
        f"{differing}. Delete it, and the next start of streamproc makes it anew."
    )


def differences(existing: ProcessorSpec, camera: Camera, video_arn: str) -> Iterator[str]:
    """What of it is otherwise, in a person's words: empty for one that does what is wanted.

    video_arn is that of the camera's video stream.
    """
    if existing.video_stream_arn != video_arn:
        name = existing.video_stream.name
        # A stream that was deleted and made again has its name, and is another.
        former = f"a former {name}, deleted since" if name == camera.stream else name
        yield f"its video stream is {former}"
    data_stream = existing.data_stream
    if (data_stream.region, data_stream.name) != (camera.region, camera.data_stream):
        yield f"its data stream is {data_stream.name}"
    if existing.collection_id != camera.collection:
        yield f"its collection is {existing.collection_id}"
    if existing.face_match_threshold != camera.face_match_threshold:
        yield f"its face_match_threshold is {existing.face_match_threshold:g}"
