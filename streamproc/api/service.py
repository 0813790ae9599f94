"""What every Rekognition operation stands on: the service and the parts it may use.

The modules beside this one register their operations here. Knows nothing of HTTP.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from streamproc.api.own_model import OWN
from streamproc.api.pictures import PictureSource
from streamproc.api.rights import rights
from streamproc.api.tag_store import TagStore
from streamproc.audit.log import Audit, NoAudit
from streamproc.cameras.service import Cameras
from streamproc.config import Config
from streamproc.events.service import EventService
from streamproc.gateway.dispatch import Service
from streamproc.health import Health
from streamproc.jobs.runner import JobRunner
from streamproc.objects.store import ObjectStore
from streamproc.processor.ports import Analyser
from streamproc.processor.supervisor import Supervisor

if TYPE_CHECKING:  # it brings FAISS, which nothing needs before there are models
    from streamproc.collection.service import CollectionService


class Views(Protocol):
    """The live views."""

    def forget(self, region: str) -> None:
        """Show nobody any more what was seen there."""
        ...


@dataclass(frozen=True, slots=True)
class ApiServices:
    """What the daemon hands to every handler."""

    supervisor: Supervisor
    collections: "CollectionService"
    scheduler: Analyser
    tags: TagStore
    images: PictureSource
    objects: ObjectStore
    jobs: JobRunner
    config: Config
    audit: Audit = field(default_factory=NoAudit)
    cameras: Cameras | None = None
    events: EventService | None = None  # None where no events are kept
    health: Health = field(default_factory=Health)
    views: Views | None = None  # None where nobody watches

    async def forget_seen(
        self, region: str, collection_id: str, face_ids: Collection[str] | None
    ) -> None:
        """Whoever was seen is known by these faces no longer, None for all of the collection.
        Raises StoreUnavailable."""
        try:
            if self.events is not None:
                await self.events.forget(region, collection_id, face_ids)
        finally:  # after it: what events know as forgotten reaches no view from here on
            if self.views is not None:
                self.views.forget(region)


rekognition = Service[ApiServices](
    "rekognition", validation_error="InvalidParameterException", rights=rights, extra=OWN
)
