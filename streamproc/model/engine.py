"""What an engine says of itself. A value: collections keep it, people read it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What runs, said plainly enough to be printed."""

    name: str  # insightface or dlib
    pack: str  # the pack's name, or its folder's name
    model_version: str  # pins a collection; digits and dots, derived from the weights
    dimension: int  # of an embedding
    providers: tuple[str, ...]  # ONNX Runtime providers in use, or ("CPU",)
    licence: str  # of the weights
    calibration: str = "measured"  # how Similarity is known: measured, estimated or guessed
