"""Operations on the tags of collections and stream processors."""

from typing import Any

from streamproc.api.failures import service_errors
from streamproc.api.service import ApiServices, rekognition
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidParameter, ResourceNotFound
from streamproc.model.arn import Arn
from streamproc.processor.supervisor import UnknownProcessor


@rekognition.operation("TagResource")
async def tag_resource(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    arn = await _existing(services, request["ResourceArn"], context)
    with service_errors():
        await services.tags.merge(arn, request["Tags"])
    return {}


@rekognition.operation("UntagResource")
async def untag_resource(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    arn = await _existing(services, request["ResourceArn"], context)
    await services.tags.remove(arn, request["TagKeys"])
    return {}


@rekognition.operation("ListTagsForResource")
async def list_tags_for_resource(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    arn = await _existing(services, request["ResourceArn"], context)
    return {"Tags": await services.tags.of(arn)}


async def _existing(services: ApiServices, text: str, context: RequestContext) -> str:
    """The resource's ARN in full. Raises InvalidParameter or ResourceNotFound."""
    # CreateCollection gives ARNs without their first part; what we gave out we take back.
    whole = f"arn:{text}" if text.startswith("aws:") else text
    try:
        arn = Arn.parse(whole)
    except ValueError as error:
        raise InvalidParameter(f"ResourceArn: {error}") from None
    kind, _, name = arn.resource.partition("/")
    if arn.service != "rekognition" or kind not in {"collection", "streamprocessor"}:
        raise InvalidParameter(
            f"ResourceArn {text} names neither a collection nor a stream processor"
        )
    here = Arn("rekognition", context.region, context.account_id, arn.resource)
    if arn != here:
        raise ResourceNotFound(
            f"ResourceArn {text} is not in region {context.region} of account "
            f"{context.account_id}; what is there begins with {str(here).removesuffix(name)}"
        )
    if kind == "collection":
        with service_errors():
            await services.collections.describe(arn.region, name)
    else:
        try:
            services.supervisor.describe((arn.region, name))
        except UnknownProcessor:
            raise ResourceNotFound(f"Stream processor {name} is not found.") from None
    return str(arn)
