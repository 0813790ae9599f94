"""What else can be told of a face: its landmarks in full, its expression, emotions, glasses.

Runs whichever attribute models are installed, each in a module of its own, and knows which of
them needs which. What no installed model measures stays None.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from streamproc.engines.emotions import Emotions
from streamproc.engines.expressions import Expressions
from streamproc.engines.eyeglasses import Eyeglasses
from streamproc.engines.face_mesh import FaceMesh
from streamproc.engines.models import find_model, is_installed
from streamproc.engines.views import longer_side
from streamproc.model.face import Face, Traits
from streamproc.model.media import Image

T = TypeVar("T")

_SIDE_MIN = 48.0
"""Pixels of the longer side of a face's box. Press photographs (LFW) scaled down to this, beside
themselves: the mesh moves by 3.5 % of the distance between the eyes, one face in nine changes its
smile, eyes or mouth, one in six its first emotion. At half of it: 10 %, and nearly every second."""


class FaceAttributes:
    """Safe to call from several threads at once."""

    def __init__(self, models_dir: Path, providers: Sequence[str], threads: int) -> None:
        """Loads the attribute models that are installed, be it none. threads: how many call
        measure() at once, 0 means one per core.

        Raises EngineError, with the remedy, if a file there is damaged or does not run.
        """

        def load(name: str, kind: Callable[[Path, Sequence[str], int], T]) -> T | None:
            if not is_installed(find_model(name), models_dir):
                return None
            return kind(models_dir, providers, threads)

        self._emotions = load("emotion_fer2013", Emotions)
        self._mesh = load("mediapipe_face_landmarks", FaceMesh)
        self._expressions = load("mediapipe_face_blendshapes", Expressions)
        self._eyeglasses = load("glasses_mobilenetv3s", Eyeglasses)

    def measure(self, image: Image, face: Face) -> Face:
        """The face with its traits. Where the mesh finds it, too, it has all landmarks and the
        mesh's traits; its five landmarks are then the mesh's. A face whose box is less than 48
        pixels high and wide is not measured: what the models said of it would be chance."""
        if longer_side(image, face) < _SIDE_MIN:
            return replace(face, traits=Traits())
        traits = Traits()
        if self._emotions is not None:
            traits = replace(traits, emotions=self._emotions.read(image, face))
        mesh = None if self._mesh is None else self._mesh.fit(image, face)
        if mesh is None:
            return replace(face, traits=traits)
        if self._expressions is not None:
            seen = self._expressions.read(mesh)
            traits = replace(
                traits, smile=seen.smile, eyes_open=seen.eyes_open, mouth_open=seen.mouth_open
            )
        if self._eyeglasses is not None:
            traits = replace(traits, eyeglasses=self._eyeglasses.read(image, mesh))
        return replace(face, traits=traits, landmarks=mesh.landmarks(image))
