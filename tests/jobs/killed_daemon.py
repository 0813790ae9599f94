"""A process that runs one job and is held in the middle of it, to be killed there.

Arguments: the data folder, the clip, the moment of the video in milliseconds.
"""

import asyncio
import sys
from pathlib import Path

from streamproc.clock import SystemClock
from streamproc.jobs.fake import ScriptedJobWorld
from streamproc.jobs.runner import JobRunner
from streamproc.model.job import JobKind, JobSpec
from streamproc.model.video import ObjectRef
from streamproc.settings import JobsConfig


async def main(folder: Path, clip: Path, moment_ms: int) -> None:
    world = ScriptedJobWorld({"clip.mp4": clip})
    world.hold(from_ms=moment_ms)
    runner = await JobRunner.open(
        folder / "jobs.db", world, JobsConfig(), folder / "scratch", SystemClock()
    )
    await runner.resume()
    spec = JobSpec(
        "eu-west-1", JobKind.FACE_DETECTION, ObjectRef("clips", "clip.mp4"), topic_arn="arn:topic"
    )
    job_id = await runner.start(spec, "once")
    await world.held.wait()
    (folder / "scratch" / "fetched").touch()
    print(job_id, flush=True)
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
