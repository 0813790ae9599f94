"""The faces of one frame and who they are, for as long as it takes.

A frame that was sampled becomes a record, or its processor says why not: one without faces,
where there was no looking, would be a lie. Knows the analyser and the search by their ports.
"""

import logging
from collections.abc import Callable, Sequence

from streamproc.aio import backoff_seconds
from streamproc.clock import Clock
from streamproc.errors import PermanentFailure, StoreUnavailable, TransientFailure
from streamproc.model.face import Embedding, Face, Match
from streamproc.model.media import Frame
from streamproc.processor.ports import FaceSearch, LiveAnalyser, Report

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 6
"""How often the engine is asked about one frame. A lack of memory has passed by then; a picture
that no attempt gets through holds its camera for a minute at most, and says so."""

Found = Sequence[tuple[Face, Sequence[Match]]]


class Recognition:
    """For one processor; owner is what the analyser knows it by."""

    def __init__(
        self,
        analyser: LiveAnalyser,
        faces: FaceSearch,
        owner: str,
        clock: Clock,
        roll: Callable[[], float],
        report: Report,
    ) -> None:
        self._view = analyser.view(owner)
        self._faces = faces
        self._clock = clock
        self._roll = roll
        self._report = report
        self._is_told = False

    async def of(self, frame: Frame) -> Found:
        """The faces, each with its matches, best first. Raises PermanentFailure."""
        found = await self._analysed(frame)
        vectors = [face.embedding for face in found if face.embedding is not None]
        matches = iter(await self._searched(vectors))
        if self._is_told:
            self._tell("")
        return [(face, () if face.embedding is None else next(matches)) for face in found]

    async def _analysed(self, frame: Frame) -> list[Face]:
        attempt = 0
        while True:
            try:
                return await self._view.analyse(frame.image, frame.timestamp)
            except Exception as error:  # OpenCV, ONNX Runtime and drivers each have their own
                attempt += 1
                what = (
                    f"The frame at {frame.offset_s:.3f} s of fragment "
                    f"{frame.fragment.number or '?'} could not be analysed "
                    f"({type(error).__name__}: {error})"
                )
                if attempt == ATTEMPTS_MAX:
                    raise PermanentFailure(
                        f"{what}, {attempt} times in a row. No frame is passed over in silence, so "
                        "the processor ends here; StartStreamProcessor begins again at live video."
                    ) from error
                log.warning("%s", what, exc_info=attempt == 1)
                self._tell(f"{what}, trying again.")
            await self._pause(attempt)

    async def _searched(self, embeddings: Sequence[Embedding]) -> Sequence[Sequence[Match]]:
        if not embeddings:
            return ()
        attempt = 0
        while True:
            try:
                return await self._faces.search_all(embeddings)
            except (TransientFailure, StoreUnavailable, OSError) as error:
                attempt += 1
                trouble = str(error) or type(error).__name__
                self._tell(f"The collection cannot be searched, trying again: {trouble}")
            await self._pause(attempt)

    async def _pause(self, attempt: int) -> None:
        await self._clock.sleep(backoff_seconds(attempt, base_s=0.25, roll=self._roll))

    def _tell(self, text: str) -> None:
        self._is_told = text != ""
        self._report(text)
