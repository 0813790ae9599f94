"""Operations on people known by name: Rekognition's one, and two of our own that fill the
registry."""

from typing import Any

from streamproc.api.auditing import audited_change
from streamproc.api.failures import service_errors
from streamproc.api.service import ApiServices, rekognition
from streamproc.gateway.dispatch import RequestContext
from streamproc.gateway.errors import InvalidParameter
from streamproc.model.members import celebrity_members, celebrity_of
from streamproc.model.person import Celebrity


@rekognition.operation("GetCelebrityInfo")
async def get_celebrity_info(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    with service_errors():
        person = await services.collections.celebrity(context.region, request["Id"])
    return celebrity_members(person)


@rekognition.operation("PutStreamprocPeople")
async def put_streamproc_people(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    people: dict[str, Celebrity] = {}
    for index, entry in enumerate(request["People"]):
        person = celebrity_of(entry)
        if person.id in people:
            raise InvalidParameter(
                f"People[{index}].Id {person.id} is that of another entry, named "
                f"{people[person.id].name}; give each person an id of its own"
            )
        people[person.id] = person
    collection_id, count = request["CollectionId"], len(people)
    with service_errors():
        async with audited_change(services, context, CollectionId=collection_id, People=count):
            await services.collections.put_people(
                context.region, collection_id, list(people.values())
            )
    return {}


@rekognition.operation("ListStreamprocPeople")
async def list_streamproc_people(
    services: ApiServices, request: dict[str, Any], context: RequestContext
) -> dict[str, Any]:
    with service_errors():
        people = await services.collections.people(context.region, request["CollectionId"])
    return {"People": [{"Id": person.id, **celebrity_members(person)} for person in people]}
