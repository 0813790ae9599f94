"""Operations on pictures alone, and what every operation with a picture begins with."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from streamproc.api.auditing import audited_answer
from streamproc.api.service import ApiServices, rekognition
from streamproc.collection.quality import BARS, sift
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidParameter
from streamproc.model.face import Face
from streamproc.model.members import asks_for_more, box_members, face_detail

_OWNER = "api"  # all requests together take one turn beside each processor


@dataclass(frozen=True, slots=True)
class Seen:
    """What is left of a picture once it was looked at."""

    digest: str
    width: int  # pixels
    height: int
    faces: list[Face]  # largest first

    def sift(
        self, quality_filter: str, faces_max: int
    ) -> tuple[list[Face], list[tuple[Face, list[str]]]]:
        """The faces that pass QualityFilter and MaxFaces, and the others with their Reasons."""
        return sift(self.faces, BARS[quality_filter], self.width, self.height, faces_max)


@rekognition.operation("DetectFaces")
async def detect_faces(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    attributes = request.get("Attributes", ())
    seen = await look(services, request, "Image", context, attributes)
    return {"FaceDetails": [face_detail(face, attributes) for face in seen.faces]}


@rekognition.operation("CompareFaces")
async def compare_faces(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    threshold = request.get("SimilarityThreshold", services.config.faces.search_threshold)
    source = (await _comparable(services, request, "SourceImage", context))[0]
    compared = [
        (services.collections.compare(source.embedding, face.embedding), face)
        for face in await _comparable(services, request, "TargetImage", context)
        if source.embedding is not None and face.embedding is not None
    ]
    compared.sort(key=lambda pair: pair[0], reverse=True)
    similarities = [round(similarity, 3) for similarity, _ in compared]
    matched = sum(similarity >= threshold for similarity, _ in compared)
    await audited_answer(services, context, Matched=matched, Similarities=similarities)
    return {
        "SourceImageFace": {
            "BoundingBox": box_members(source.box),
            "Confidence": source.confidence,
        },
        "FaceMatches": [
            {"Similarity": similarity, "Face": face_detail(face)}
            for similarity, face in compared
            if similarity >= threshold
        ],
        "UnmatchedFaces": [
            face_detail(face) for similarity, face in compared if similarity < threshold
        ],
    }


async def look(
    services: ApiServices,
    request: dict[str, Any],
    member: str,
    context: RequestContext,
    attributes: Collection[str] = (),
) -> Seen:
    """Find the faces of the picture in this member, with what these attributes need;
    faces.faces_per_image_max bounds them.

    Raises the ServiceError that says what is wrong with the picture.
    """
    async with services.images.open(member, request[member], context.region) as picture:
        faces = await services.scheduler.analyse(
            picture.image, _OWNER, attributes=asks_for_more(attributes)
        )
        height, width = picture.image.shape[:2]
    largest = faces[: services.config.faces.faces_per_image_max]
    return Seen(picture.digest, width, height, largest)


async def _comparable(
    services: ApiServices, request: dict[str, Any], member: str, context: RequestContext
) -> list[Face]:
    seen = await look(services, request, member, context)
    kept, _ = seen.sift(request.get("QualityFilter", "NONE"), len(seen.faces))
    if not kept:
        raise InvalidParameter(
            f"Request has invalid parameters. There are no faces in {member}. Should be at least 1."
        )
    return kept
