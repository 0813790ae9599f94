"""Operations on collections as a whole."""

from typing import Any

from streamproc.api.auditing import audited_change
from streamproc.api.failures import service_errors
from streamproc.api.paging import PAGE_DEFAULT, decode_token, encode_token
from streamproc.api.service import ApiServices, rekognition
from streamproc.gateway.dispatch import RequestContext
from streamproc.model.arn import collection_arn


@rekognition.operation("CreateCollection")
async def create_collection(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    tags = request.get("Tags", {})
    collection_id = request["CollectionId"]
    arn = collection_arn(context.region, context.account_id, collection_id)
    with service_errors():
        services.tags.check(arn, tags)
        collection = await services.collections.create(
            context.region, collection_id, collections_max=services.config.faces.collections_max
        )
        await services.tags.replace(arn, tags)
    return {
        "StatusCode": 200,
        # Rekognition leaves the first part out here, and only here.
        "CollectionArn": arn.removeprefix("arn:"),
        "FaceModelVersion": collection.model_version,
    }


@rekognition.operation("DescribeCollection")
async def describe_collection(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    with service_errors():
        collection = await services.collections.describe(context.region, request["CollectionId"])
    return {
        "FaceCount": collection.face_count,
        "FaceModelVersion": collection.model_version,
        "CollectionARN": collection.arn,
        "CreationTimestamp": collection.created_at,
        "UserCount": 0,
    }


@rekognition.operation("ListCollections")
async def list_collections(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    kind = f"ListCollections {context.region}"
    token = request.get("NextToken")
    after = 0 if token is None else decode_token(kind, token, int)
    limit = request.get("MaxResults") or PAGE_DEFAULT
    found = await services.collections.list_collections(context.region, after, limit + 1)
    page = found[:limit]
    return {
        "CollectionIds": [collection.collection_id for collection in page],
        "FaceModelVersions": [collection.model_version for collection in page],
        # A position, not an id: an id alone may be as long as a token is allowed to be.
        "NextToken": encode_token(kind, page[-1].key) if len(found) > limit else None,
    }


@rekognition.operation("DeleteCollection")
async def delete_collection(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    collection_id = request["CollectionId"]
    with service_errors():
        collection = await services.collections.describe(context.region, collection_id)
        async with audited_change(services, context, CollectionId=collection_id) as done:
            # First, so that a call that fails can be repeated.
            await services.forget_seen(context.region, collection_id, None)
            await services.collections.delete(context.region, collection_id)
            await services.forget_seen(context.region, collection_id, None)  # seen meanwhile
            done["FaceCount"] = collection.face_count
    await services.tags.clear(collection_arn(context.region, context.account_id, collection_id))
    return {"StatusCode": 200}
