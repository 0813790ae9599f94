"""Operations on the faces of a collection: index, list, delete and search."""

from typing import Any

from streamproc.api.auditing import audited_answer, audited_change
from streamproc.api.failures import service_errors
from streamproc.api.images import look
from streamproc.api.paging import PAGE_DEFAULT, decode_token, encode_token
from streamproc.api.service import ApiServices, rekognition
from streamproc.audit.details import match_details
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidParameter
from streamproc.model.face import MATCHES_MAX
from streamproc.model.image_id import image_id_of
from streamproc.model.members import box_members, face_detail, face_match, indexed_face


@rekognition.operation("IndexFaces")
async def index_faces(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    region, collection_id = context.region, request["CollectionId"]
    with service_errors():
        collection = await services.collections.describe(region, collection_id)
    attributes = request.get("DetectionAttributes", ())
    seen = await look(services, request, "Image", context, attributes)
    kept, rejected = seen.sift(
        request.get("QualityFilter", "AUTO"), request.get("MaxFaces", len(seen.faces))
    )
    external_image_id = request.get("ExternalImageId")
    image_id = image_id_of(seen.digest, external_image_id)
    audited = audited_change(services, context, CollectionId=collection_id, ImageId=image_id)
    with service_errors():
        async with audited as done:
            indexed = await services.collections.add_faces(
                region,
                collection_id,
                seen.digest,
                external_image_id,
                kept,
                faces_max=services.config.faces.faces_per_collection_max,
            )
            done["FaceIds"] = [record.face_id for record in indexed]
    return {
        "FaceRecords": [
            {"Face": indexed_face(record), "FaceDetail": face_detail(face, attributes)}
            for record, face in zip(indexed, kept, strict=True)
        ],
        "FaceModelVersion": collection.model_version,
        "UnindexedFaces": [
            {"Reasons": reasons, "FaceDetail": face_detail(face, attributes)}
            for face, reasons in rejected
        ],
    }


@rekognition.operation("ListFaces")
async def list_faces(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    region, collection_id = context.region, request["CollectionId"]
    face_ids = request.get("FaceIds")
    kind = f"ListFaces {region} {collection_id} {sorted(set(face_ids or ()))}"
    token = request.get("NextToken")
    after = None if token is None else decode_token(kind, token, str)
    limit = request.get("MaxResults") or PAGE_DEFAULT
    if "UserId" in request:
        raise InvalidParameter(
            f"UserId {request['UserId']} was not found: collections here have no users; list "
            "faces without UserId"
        )
    with service_errors():
        collection = await services.collections.describe(region, collection_id)
        found = await services.collections.list_faces(
            region, collection_id, after, limit + 1, face_ids
        )
    page = found[:limit]
    return {
        "Faces": [indexed_face(face) for face in page],
        "NextToken": encode_token(kind, page[-1].face_id) if len(found) > limit else None,
        "FaceModelVersion": collection.model_version,
    }


@rekognition.operation("DeleteFaces")
async def delete_faces(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    wanted = list(dict.fromkeys(request["FaceIds"]))
    collection_id = request["CollectionId"]
    audited = audited_change(services, context, CollectionId=collection_id, FaceIds=wanted)
    with service_errors():
        async with audited as done:
            deleted = await services.collections.delete_faces(context.region, collection_id, wanted)
            # Those that are gone already too: an earlier call may have ended in between.
            await services.forget_seen(context.region, collection_id, wanted)
            done["FaceIds"] = deleted
    gone = set(deleted)
    return {
        "DeletedFaces": [face_id for face_id in wanted if face_id in gone],
        "UnsuccessfulFaceDeletions": [
            {"FaceId": face_id, "Reasons": ["FACE_NOT_FOUND"]}
            for face_id in wanted
            if face_id not in gone
        ],
    }


@rekognition.operation("SearchFaces")
async def search_faces(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    with service_errors():
        matches = await services.collections.search_by_face_id(
            context.region,
            request["CollectionId"],
            request["FaceId"],
            threshold=request.get("FaceMatchThreshold", services.config.faces.search_threshold),
            limit=request.get("MaxFaces", MATCHES_MAX),
        )
    await audited_answer(
        services, context, CollectionId=request["CollectionId"], FaceId=request["FaceId"],
        **match_details(matches),
    )  # fmt: skip
    return {
        "SearchedFaceId": request["FaceId"],
        "FaceMatches": [face_match(match) for match in matches],
        "FaceModelVersion": services.collections.info.model_version,
    }


@rekognition.operation("SearchFacesByImage")
async def search_faces_by_image(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    region, collection_id = context.region, request["CollectionId"]
    with service_errors():
        await services.collections.describe(region, collection_id)
    seen = await look(services, request, "Image", context)
    kept, _ = seen.sift(request.get("QualityFilter", "NONE"), 1)
    if not kept or kept[0].embedding is None:
        raise InvalidParameter("There are no faces in the image. Should be at least 1.")
    with service_errors():
        matches = await services.collections.search(
            region,
            collection_id,
            kept[0].embedding,
            threshold=request.get("FaceMatchThreshold", services.config.faces.search_threshold),
            limit=request.get("MaxFaces", MATCHES_MAX),
        )
    await audited_answer(services, context, CollectionId=collection_id, **match_details(matches))
    return {
        "SearchedFaceBoundingBox": box_members(kept[0].box),
        "SearchedFaceConfidence": kept[0].confidence,
        "FaceMatches": [face_match(match) for match in matches],
        "FaceModelVersion": services.collections.info.model_version,
    }
