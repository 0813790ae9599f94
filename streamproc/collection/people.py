"""The registry: who the people of a collection are, in SQL.

A person's photos are the faces whose external image id is the person's id; nothing else joins
the two. The same id in two collections is the same person. Knows nothing of vectors.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, insert, select

from streamproc.collection import schema
from streamproc.collection.schema import CollectionInfo, collections, people
from streamproc.db import Database
from streamproc.errors import CelebrityNotFound
from streamproc.model.face import Match
from streamproc.model.person import Celebrity, Recognised


class Registry:
    """The people of all collections of one database."""

    def __init__(self, database: Database, account_id: str) -> None:
        self._database = database
        self._account_id = account_id

    async def put(self, collection: CollectionInfo, wanted: Sequence[Celebrity]) -> None:
        """Replace everybody in one transaction. Raises CollectionNotFound."""
        async with self._database.write() as connection:
            present = select(collections.c.key).where(collections.c.key == collection.key)
            # Where several daemons share a database, nobody deletes it under us.
            if await connection.scalar(present.with_for_update()) is None:
                raise schema.not_found(collection.collection_id)
            await connection.execute(delete(people).where(people.c.collection == collection.key))
            if wanted:
                rows = [
                    schema.person_values(person, place, collection)
                    for place, person in enumerate(wanted)
                ]
                await connection.execute(insert(people), rows)

    async def people_of(self, collection: CollectionInfo) -> list[Celebrity]:
        """In the order in which they were put."""
        wanted = (
            select(people).where(people.c.collection == collection.key).order_by(people.c.place)
        )
        async with self._database.read() as connection:
            return [schema.person_of(row) for row in await connection.execute(wanted)]

    async def find(self, region: str, person_id: str) -> Celebrity:
        """As the oldest collection of the region that has the id knows the person.

        Raises CelebrityNotFound.
        """
        wanted = (
            select(people)
            .join(collections)
            .where(collections.c.region == region, people.c.person_id == person_id)
            .order_by(people.c.collection)
            .limit(1)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).first()
        if row is None:
            raise CelebrityNotFound(f"The celebrity id: {person_id} does not exist")
        return schema.person_of(row)

    async def collections_with_people(self, region: str) -> list[CollectionInfo]:
        """Those of the region that have people, oldest first."""
        wanted = (
            select(collections)
            .where(collections.c.region == region)
            .where(select(people).where(people.c.collection == collections.c.key).exists())
            .order_by(collections.c.key)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(wanted)
            return [schema.collection_of(row, self._account_id) for row in rows]

    async def recognise(
        self, collection: CollectionInfo, matches: Iterable[Match]
    ) -> list[Recognised]:
        """Whose photos these are. Photos of nobody in the registry are left out."""
        best: dict[str, float] = {}
        for match in matches:
            person_id = match.face.external_image_id
            if person_id is not None:
                best[person_id] = max(match.similarity, best.get(person_id, 0.0))
        if not best:
            return []
        wanted = select(people).where(
            people.c.collection == collection.key, people.c.person_id.in_(best)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(wanted)
            return [Recognised(schema.person_of(row), best[row.person_id]) for row in rows]


def best_per_person(found: Iterable[Recognised]) -> list[Recognised]:
    """Each person once, with the best similarity, best first; equals in the order of ids."""
    best: dict[str, Recognised] = {}
    for one in found:
        other = best.get(one.celebrity.id)
        if other is None or one.similarity > other.similarity:
            best[one.celebrity.id] = one
    return sorted(best.values(), key=lambda one: (-one.similarity, one.celebrity.id))
