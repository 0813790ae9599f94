"""Operations on pictures alone, and what every operation with a picture begins with."""

from typing import Any

from streamproc.api.face_members import compared_face, face_detail
from streamproc.api.pictures import Picture
from streamproc.api.service import ApiServices, rekognition
from streamproc.collection.quality import BARS, sift
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidParameter
from streamproc.model.face import Face
from streamproc.model.record import box_members

_OWNER = "api"  # all requests together take one turn beside each processor


@rekognition.operation("DetectFaces")
async def detect_faces(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    _, faces = await faces_of(services, request, "Image", context)
    return {"FaceDetails": [face_detail(face, request.get("Attributes", ())) for face in faces]}


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
    return {
        "SourceImageFace": {
            "BoundingBox": box_members(source.box),
            "Confidence": source.confidence,
        },
        "FaceMatches": [
            {"Similarity": similarity, "Face": compared_face(face)}
            for similarity, face in compared
            if similarity >= threshold
        ],
        "UnmatchedFaces": [
            compared_face(face) for similarity, face in compared if similarity < threshold
        ],
    }


async def faces_of(
    services: ApiServices, request: dict[str, Any], member: str, context: RequestContext
) -> tuple[Picture, list[Face]]:
    """The picture in this member and its faces, largest first, at most as many as
    faces.faces_per_image_max. Raises the ServiceError that says what is wrong with it."""
    picture = await services.images.load(member, request[member], context.region)
    faces = await services.scheduler.analyse(picture.image, _OWNER)
    return picture, faces[: services.config.faces.faces_per_image_max]


async def _comparable(
    services: ApiServices, request: dict[str, Any], member: str, context: RequestContext
) -> list[Face]:
    picture, faces = await faces_of(services, request, member, context)
    bar = BARS[request.get("QualityFilter", "NONE")]
    kept, _ = sift(faces, bar, picture.width, picture.height, len(faces))
    if not kept:
        raise InvalidParameter(
            f"Request has invalid parameters. There are no faces in {member}. Should be at least 1."
        )
    return kept
