"""The InsightFace engine: SCRFD finds faces, ArcFace recognises them, on ONNX Runtime.

Decides at which sizes and at which part of a picture to look, cuts the faces out, embeds them
in few batches, and says what it saw in our own values. Knows nothing of threads beyond being
called by several at once: ONNX sessions allow it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from insightface.app.common import Face as InsightFace
from numpy.typing import NDArray

from streamproc.engines.align import crop_face
from streamproc.engines.base import Sighting, not_among, step_by_step, touch
from streamproc.engines.insightface_models import licence_of, load_models
from streamproc.engines.packs import file_sha256, find_pack, model_version, remedy
from streamproc.engines.planes import fill_planes
from streamproc.engines.pose import Point, pose_from_five_points
from streamproc.engines.quality import measure_quality
from streamproc.engines.ratios import box_in, landmarks_in
from streamproc.engines.runtime import CPU, require_providers
from streamproc.engines.scratch import Scratch
from streamproc.engines.scrfd import Window, window_around
from streamproc.engines.similarity import calibration_of
from streamproc.errors import EngineError
from streamproc.model.engine import EngineInfo
from streamproc.model.face import Edges, Embedding, Face, hull
from streamproc.model.media import Image
from streamproc.settings import EngineConfig

# SCRFD gives its five points in this order; "left" is the viewer's.
LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")

_BATCH_CPU, _BATCH_ACCELERATOR = 4, 32
"""Faces embedded in one run, which bounds the memory that a picture of a crowd takes. With
MobileFaceNet on a CPU 32 take 170 MB and a fifth more time for each face than 4 with 14 MB:
what they compute no longer stays in its caches."""


_MARGIN = 80
"""Pixels of the detector's input that are seen around a region. Of 147 faces in recordings of a
crowd and a lobby, each looked for in a window of its own, 143 are found with 64 and all with 80."""

_WINDOWS_MAX = 2
"""Windows tried for a region, the second around the faces that the first had cut."""


class InsightFaceEngine:
    """A pack, loaded. Raises EngineError, with the remedy, if it cannot run as configured."""

    def __init__(self, config: EngineConfig) -> None:
        require_providers(config.providers)
        folder = find_pack(config.pack, config.models_dir)
        models = load_models(folder, config)
        self._detector, self._recogniser = models.detector, models.recogniser
        self._attributes = models.attributes
        self._sizes = sorted(config.detection_sizes, reverse=True)
        if self._detector.fixed_size is not None:
            self._sizes = self._sizes[:1]  # it looks at one size, whatever it is asked
        self._side: int = self._recogniser.input_size[0]
        self._scratch = Scratch()
        batch = self._recogniser.input_shape[0]
        free = _BATCH_CPU if config.providers == [CPU] else _BATCH_ACCELERATOR
        self._batch_max = batch if isinstance(batch, int) else free
        dimension = self._rehearse(folder)
        sha256 = file_sha256(Path(self._recogniser.model_file))
        self._calibration = calibration_of(sha256, dimension)
        self.info = EngineInfo(
            name="insightface",
            pack=folder.name,
            model_version=model_version(sha256),
            dimension=dimension,
            providers=tuple(self._recogniser.session.get_providers()),
            licence=licence_of(folder),
            calibration=self._calibration.evidence,
        )

    def analyse(
        self, images: Sequence[Image], *, attributes: bool = False, embeddings: bool = True
    ) -> list[list[Face]]:
        """The faces of each picture, largest first, each with its embedding if wanted; with
        attributes, age and gender too if the pack can tell them: one more network per face."""
        return step_by_step(self, images, attributes=attributes, embeddings=embeddings)

    def find(self, image: Image, *, region: Edges | None = None) -> list[Sighting]:
        """A region is looked at at the finest size only: who looks at regions has faces that the
        coarser ones are for from a look at the whole picture, and misses them if they are gone."""
        found = self._look_over(image) if region is None else self._look_at(image, region)
        return sorted(found, key=lambda one: one.area, reverse=True)

    @property
    def looks_at_regions(self) -> bool:
        return self._detector.fixed_size is None

    def crop(self, image: Image, sighting: Sighting) -> Image:
        return crop_face(image, sighting.points, self._side)

    def embed(self, crops: Sequence[Image]) -> list[Embedding]:
        vectors: list[Embedding] = []
        for start in range(0, len(crops), self._batch_max):
            found = self._embedded(crops[start : start + self._batch_max])
            vectors += list(found / np.linalg.norm(found, axis=1, keepdims=True))
        return vectors

    def describe(
        self,
        image: Image,
        sighting: Sighting,
        embedding: Embedding | None,
        *,
        attributes: bool = False,
    ) -> Face:
        box = box_in(image, sighting.box)
        points: dict[str, Point] = dict(zip(LANDMARKS, sighting.points.tolist(), strict=True))
        age, gender = self._age_and_gender(image, sighting) if attributes else (None, None)
        return Face(
            box=box,
            confidence=sighting.confidence,
            landmarks=landmarks_in(image, points),
            pose=pose_from_five_points(points),
            quality=measure_quality(image, box),
            embedding=embedding,
            age=age,
            gender=gender,
        )

    def similarity(self, cosine: float) -> float:
        return self._calibration.similarity(cosine)

    def cosine(self, similarity: float) -> float:
        return self._calibration.cosine(similarity)

    def _look_over(self, image: Image) -> list[Sighting]:
        """What the finest size shows, then what only the coarser ones do.

        InsightFace prefers the higher score, which is often the coarse one's; its landmarks
        are coarse as well, and a face that is turned is then cut out askew.
        """
        kept: list[Sighting] = []
        for side in self._sizes:
            if (size := self._detector.scaled_size(image, side)) is None:
                continue
            kept += not_among(self._detector.look(image, size), kept)
        return kept

    def _look_at(self, image: Image, region: Edges) -> list[Sighting]:
        size = self._detector.scaled_size(image, self._sizes[0])
        if size is None:
            return []
        scale = size[1] / image.shape[0]
        around = region
        for _ in range(_WINDOWS_MAX):
            window = window_around(around, size, scale, _MARGIN)
            left, top, right, bottom = window
            if left >= right or top >= bottom:
                return []
            if window == (0, 0, *size) or self._detector.fixed_size is not None:
                break
            seen = self._detector.look(image, size, window)
            boxes = [one.box for one in seen if touch(one.box, region)]
            cut = [box for box in boxes if _is_cut(box, window, size, scale)]
            if not cut:
                return [one for one in seen if touch(one.box, region)]
            around = hull([around, *cut])
        return [one for one in self._look_over(image) if touch(one.box, region)]

    def _embedded(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """As InsightFace's get_feat(), in memory that this thread has used before."""
        network = self._recogniser
        blob = self._scratch.block("faces", (len(crops), 3, self._side, self._side), np.float32)
        for planes, crop in zip(blob, crops, strict=True):
            fill_planes(planes, crop, network.input_mean, network.input_std, self._scratch)
        feed = blob.astype(getattr(network, "input_dtype", np.float32), copy=False)
        (found,) = network.session.run(network.output_names, {network.input_name: feed})
        return found  # type: ignore[no-any-return]

    def _age_and_gender(self, image: Image, sighting: Sighting) -> tuple[int | None, str | None]:
        if self._attributes is None:
            return None, None
        gender, age = self._attributes.get(image, InsightFace(bbox=np.array(sighting.box)))
        return max(int(age), 0), "Male" if gender == 1 else "Female"

    def _rehearse(self, folder: Path) -> int:
        """Run every network once, so that what is wrong shows now; returns the dimension."""
        black = np.zeros((max(self._sizes),) * 2 + (3,), np.uint8)
        corners = np.array([(30, 40), (80, 40), (55, 65), (35, 90), (75, 90)], np.float32)
        probe = Sighting((0.0, 0.0, 112.0, 112.0), 100.0, corners)
        try:
            self.find(black)
            (vector,) = self.embed([self.crop(black, probe)])
            self._age_and_gender(black, probe)
        except Exception as error:  # ONNX Runtime's own classes share no base but this
            raise EngineError(f"pack {folder} does not run: {error}; {remedy(folder)}") from None
        return len(vector)


def _is_cut(box: Edges, window: Window, size: tuple[int, int], scale: float) -> bool:
    """Whether a face reaches an edge of the window that is not the picture's own."""
    left, top, right, bottom = (edge * scale for edge in box)
    return (
        (left <= window[0] > 0)
        or (top <= window[1] > 0)
        or (right >= window[2] < size[0])
        or (bottom >= window[3] < size[1])
    )
