"""Face detection: every face of every frame looked at, as a FaceDetail. Knows no tracks: the
same face in two frames is two entries, as at Rekognition."""

from collections.abc import Iterable, Sequence

from streamproc.jobs.ports import Outcome, Vision
from streamproc.model.face import Face
from streamproc.model.job import Item, JobSpec
from streamproc.model.members import asks_for_more, face_detail
from streamproc.model.video import VideoFrame


class FaceDetection:
    """An Analysis. FaceAttributes is DEFAULT or ALL, which for video means what it means for
    pictures: all that the installed models measure."""

    model_version = ""

    def __init__(self, spec: JobSpec, vision: Vision, fps: float) -> None:
        self.fps = fps
        self._vision = vision
        self._attributes = (spec.parameters.get("FaceAttributes", "DEFAULT"),)

    async def look(self, frame: VideoFrame) -> Sequence[Face]:
        return await self._vision.faces(
            frame.image, attributes=asks_for_more(self._attributes), embeddings=False
        )

    def add(self, timestamp_ms: int, seen: Sequence[Face]) -> Iterable[Item]:
        """Largest face first."""
        for face in seen:
            yield Item(timestamp_ms, {"Face": face_detail(face, self._attributes)})

    async def finish(self) -> Outcome:
        return Outcome()
